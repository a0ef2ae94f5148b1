//! `platformer`: one command for the platform.

use std::process::ExitCode;

use lexopt::{Arg, Parser};
use platformer::{demo, images, pack};

const HELP: &str = "\
platformer drives the platform from a checkout of its sources.

Usage: platformer demo            a repository, an app published, started, greeted and stopped; no Docker needed
       platformer images          build the images platformer/app-base, app-base:static and repository
       platformer pack APP [DIR]  pack a sample app and its config into DIR [.]
       platformer --help

From the root of a checkout: cargo demo, cargo images.
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        #[expect(
            clippy::print_stderr,
            reason = "the one place where errors are printed"
        )]
        Err(error) => {
            eprintln!("platformer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut parser = Parser::from_env();
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return print(HELP),
            Arg::Value(word) => words.push(
                word.into_string()
                    .map_err(|_| anyhow::anyhow!("an argument is not UTF-8"))?,
            ),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] => demo::run(),
        ["images"] => images::run(),
        ["pack", app] => pack::run(app, ".".as_ref()),
        ["pack", app, directory] => pack::run(app, directory.as_ref()),
        [] | ["help"] => print(HELP),
        _ => anyhow::bail!("there is no such command: see platformer --help"),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
