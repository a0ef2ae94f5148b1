//! The parts of `platformer`, which the end-to-end tests use too.
//!
//! 1. `arguments` parses the command line
//! 2. `commands` has one module for each command; `deploy` is a command of its own
//! 3. commands plan steps (`step`) with an engine (`engine`: Compose or Swarm) and a repository (`repository`), and then
//!    execute or print them
//! 4. `shell` runs docker and curl

mod arguments;
pub mod build;
mod commands;
pub mod demo;
mod deploy;
mod engine;
mod environment;
pub mod images;
mod output;
pub mod pack;
mod process;
mod release_spec;
mod replica_set;
mod repository;
mod shell;
mod step;

use std::ffi::OsString;
use std::process::Command as Process;

use anyhow::{Context as _, ensure};
use arguments::Command;
use commands::{
    clean, config, console, doctor, domain, down, logs, publish, releases, rollback, scale, secret,
    status, up,
};

/// Does what the words say; the exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<u8> {
    let arguments = arguments::parse(words)?;
    let shell = arguments.shell;
    let environment = || environment::find(arguments.environment, shell);
    match arguments.command {
        Command::Help => output::print(arguments::HELP.trim_end()),
        Command::Up(kind) => up::run(kind, shell)?,
        Command::Down => down::run(environment()?)?,
        Command::Clean { sure } => clean::run(environment()?, sure)?,
        Command::Status => status::run(environment()?)?,
        Command::Publish {
            app,
            path,
            version,
            config,
        } => {
            publish::run(environment()?, &app, &path, &version, config.as_deref())?;
        }
        Command::Deploy {
            reference,
            strategy,
            patience,
            again,
        } => {
            deploy::run(environment()?, &reference, strategy, patience, again)?;
        }
        Command::Rollback {
            app,
            strategy,
            patience,
        } => {
            rollback::run(environment()?, &app, strategy, patience)?;
        }
        Command::Releases(app) => releases::run(environment()?, &app)?,
        Command::Scale { what, patience } => scale::run(environment()?, &what, patience)?,
        Command::Logs { app, follow, tail } => logs::run(environment()?, &app, follow, &tail)?,
        Command::Run { app, command } => {
            let code = commands::run::run(environment()?, &app, &command)?;
            return Ok(u8::try_from(code).unwrap_or(1));
        }
        Command::Config { app, layer, action } => {
            config::run(environment()?, &app, layer.as_deref(), &action)?;
        }
        Command::SecretList(app) => secret::list(environment()?, &app)?,
        Command::SecretRemove { app, name } => secret::remove(environment()?, &app, &name)?,
        Command::SecretSet { app, name } => secret::set(environment()?, &app, &name)?,
        Command::DomainAdd {
            app,
            domain,
            certificates,
        } => {
            domain::add(environment()?, &app, &domain, certificates.as_deref())?;
        }
        Command::DomainList => domain::list(environment()?)?,
        Command::DomainRemove(domain) => domain::remove(environment()?, &domain)?,
        Command::Console { port } => console::run(environment()?, port)?,
        Command::Doctor => doctor::run(shell)?,
        Command::Images => images::run()?,
        Command::Pack { app, directory } => pack::run(&app, &directory)?,
        Command::Demo => demo::run()?,
        Command::Bench => bench()?,
    }
    Ok(0)
}

/// `cargo bench`: everything beside what it replaces.
fn bench() -> anyhow::Result<()> {
    let status = Process::new("cargo")
        .args(["bench", "--package", "platformer-tests"])
        .current_dir(build::root()?)
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "cargo bench ended with {status}");
    Ok(())
}
