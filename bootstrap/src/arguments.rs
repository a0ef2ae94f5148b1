//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};
use repository_api::units;

use crate::exit::{Exit, Failure};
use crate::init::Options;

#[derive(Debug)]
pub(crate) enum Command {
    Run(StartArguments),
    Fetch(StartArguments),
    Init(Options),
    Healthcheck,
    /// The init's watcher for changes. An app's name never begins with `_`.
    Watch,
    /// The removal of retired trees.
    Remove(Vec<PathBuf>),
    Sleep(Duration),
    /// The help or the version.
    Print(String),
}

/// `APP[@REF] [REPOSITORY] [-- COMMAND [ARG…]]`. Variables can replace arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StartArguments {
    pub(crate) app: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) command: Vec<OsString>,
}

const HELP: &str = include_str!("arguments/help.txt");

fn usage(message: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("{message}: see bootstrap --help"))
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut parser = Parser::from_iter(arguments);
    let mut rest = parser.raw_args().map_err(usage)?;
    match rest.peek().and_then(OsStr::to_str) {
        Some("run") => {
            rest.next();
            start(parser).map(Command::Run)
        }
        Some("fetch") => {
            rest.next();
            let arguments = start(parser)?;
            if !arguments.command.is_empty() {
                return Err(usage(
                    "fetch does not start the app, so it takes no command",
                ));
            }
            Ok(Command::Fetch(arguments))
        }
        Some("init") => {
            rest.next();
            init(parser).map(Command::Init)
        }
        Some("healthcheck") => {
            rest.next();
            nothing_more(parser, Command::Healthcheck)
        }
        Some("_watch") => {
            rest.next();
            nothing_more(parser, Command::Watch)
        }
        Some("_remove") => Ok(Command::Remove(rest.skip(1).map(PathBuf::from).collect())),
        Some("sleep") => {
            rest.next();
            let text = parser.value().map_err(usage)?;
            let text = text.to_string_lossy();
            // `sleep 5` works like sleep(1).
            let seconds = text
                .parse()
                .ok()
                .filter(|seconds| *seconds < 1_000_000)
                .map(Duration::from_secs);
            let duration = seconds
                .map_or_else(|| units::duration(&text), Ok)
                .map_err(usage)?;
            nothing_more(parser, Command::Sleep(duration))
        }
        Some("--help" | "-h" | "help") => Ok(Command::Print(HELP.to_owned())),
        Some("--version" | "-V") => Ok(Command::Print(format!(
            "bootstrap {}\n",
            env!("CARGO_PKG_VERSION")
        ))),
        _ => start(parser).map(Command::Run),
    }
}

fn nothing_more(mut parser: Parser, command: Command) -> Result<Command, Failure> {
    match parser.next().map_err(usage)? {
        None => Ok(command),
        Some(extra) => Err(usage(extra.unexpected())),
    }
}

/// The words after `--` are the command.
fn start(mut parser: Parser) -> Result<StartArguments, Failure> {
    let mut arguments = StartArguments::default();
    loop {
        if let Ok(mut rest) = parser.raw_args()
            && rest.peek() == Some(OsStr::new("--"))
        {
            rest.next();
            arguments.command = rest.collect();
            if arguments.command.is_empty() {
                return Err(usage("no command after --"));
            }
            return Ok(arguments);
        }
        match parser.next().map_err(usage)? {
            None => return Ok(arguments),
            Some(Arg::Value(value)) if arguments.app.is_none() => {
                arguments.app = Some(text(value)?);
            }
            Some(Arg::Value(value)) if arguments.repository.is_none() => {
                arguments.repository = Some(text(value)?);
            }
            // The message leaves out the argument, because an address can contain a password.
            Some(Arg::Value(_)) => return Err(usage("too many arguments")),
            Some(other) => return Err(usage(other.unexpected())),
        }
    }
}

fn text(value: OsString) -> Result<String, Failure> {
    value
        .into_string()
        .map_err(|_| usage("an argument is not UTF-8"))
}

fn init(mut parser: Parser) -> Result<Options, Failure> {
    let mut options = Options::default();
    loop {
        if let Ok(mut rest) = parser.raw_args()
            && rest.peek() == Some(OsStr::new("--"))
        {
            rest.next();
            options.command = rest.collect();
            break;
        }
        let Some(argument) = parser.next().map_err(usage)? else {
            break;
        };
        let Arg::Long(name) = argument else {
            return Err(usage(argument.unexpected()));
        };
        let name = name.to_owned();
        let value = parser.value().map_err(usage)?;
        let value = value
            .to_str()
            .ok_or_else(|| usage(format!("--{name} is not UTF-8")))?;
        options
            .set(&name, value)
            .map_err(|error| usage(format!("--{name}: {error}")))?;
    }
    if options.command.is_empty() {
        return Err(usage("init needs a command after --"));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::Handed;

    fn words(text: &str) -> Result<Command, Failure> {
        parse(
            std::iter::once("bootstrap")
                .chain(text.split_whitespace())
                .map(OsString::from),
        )
    }

    fn start_of(text: &str) -> (Option<String>, Option<String>, usize) {
        match words(text) {
            Ok(Command::Run(StartArguments {
                app,
                repository,
                command,
            })) => (app, repository, command.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn run_is_the_default_command() {
        assert_eq!(start_of(""), (None, None, 0));
        assert_eq!(start_of("hello"), (Some("hello".into()), None, 0));
        assert_eq!(
            start_of("hello host:80 -- sh -c x"),
            (Some("hello".into()), Some("host:80".into()), 3)
        );
        assert_eq!(start_of("run fetch"), (Some("fetch".into()), None, 0));
        assert_eq!(start_of("-- ls --help"), (None, None, 2));
        assert_eq!(start_of("hello -- -- x"), (Some("hello".into()), None, 2));
    }

    #[test]
    fn misuse_is_64() {
        for text in [
            "a b c",
            "--nonsense",
            "hello --",
            "fetch a -- b",
            "init",
            "init x",
            "init --grace=x -- a",
            "healthcheck x",
            "sleep",
            "sleep x",
            "sleep 1 2",
        ] {
            assert_eq!(words(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn the_init_s_arguments_read_back() {
        let mut options = Options {
            command: vec!["a".into(), "--".into(), "--drain=1s".into()],
            ..Options::default()
        };
        for (name, value) in [
            ("stop-signal", "QUIT"),
            ("drain", "1s"),
            ("grace", "2s"),
            ("signal-scope", "all"),
            ("leftovers", "leave"),
            ("log", "debug"),
        ] {
            options.set(name, value).unwrap();
        }
        let arguments = options.to_arguments(Handed {
            mask: 0xff,
            log_json: true,
            tree_lock: Some(5),
            watch: Some(6),
        });
        let line = ["bootstrap".into(), "init".into()]
            .into_iter()
            .chain(arguments.clone());
        let Ok(Command::Init(read)) = parse(line) else {
            panic!()
        };
        let handed = Handed {
            mask: read.mask.unwrap(),
            log_json: read.log_json,
            tree_lock: read.tree_lock,
            watch: read.watch,
        };
        assert_eq!(read.to_arguments(handed), arguments);
    }
}
