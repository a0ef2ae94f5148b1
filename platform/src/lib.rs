//! The `platformer` command.
//!
//! 1. `arguments` parses the command line
//! 2. `commands` has one module for each command; `deploy` is a command of its own
//! 3. commands plan steps (`step`) with an engine (`engine`: Compose or Swarm) and a repository (`repository`), then
//!    execute or print them
//! 4. `shell` runs docker and curl
//!
//! `embedded` has the files that docker needs. `images` and `archive` are public, because `xtask` builds the same
//! images and archives from the sources.

pub mod archive;
mod arguments;
mod commands;
mod deploy;
mod embedded;
mod engine;
mod environment;
pub mod images;
mod output;
mod release_spec;
mod replica_set;
mod repository;
mod shell;
mod step;

use std::ffi::OsString;

pub use arguments::definition;
use arguments::{Command, ConfigCommand, DomainCommand, EnvironmentCommand, Parsed, SecretCommand};
use commands::{
    clean, completions, config, console, doctor, domain, down, logs, publish, releases, rollback,
    scale, secret, status, up,
};
use environment::{Environment, Kind};

/// Runs the command line `words` and returns the exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<u8> {
    let arguments = match arguments::parse(words)? {
        Parsed::Run(arguments) => arguments,
        Parsed::Show(text) => {
            output::print(&text);
            return Ok(0);
        }
    };
    let shell = arguments.shell;
    match arguments.command {
        Command::Up { .. } => up::run(arguments.environment.unwrap_or(Kind::Training), shell)?,
        Command::Doctor => doctor::run()?,
        Command::Images => images::run()?,
        Command::Completions { shell } => completions::run(shell),
        Command::InEnvironment(command) => {
            return run_in(environment::find(arguments.environment, shell)?, command);
        }
    }
    Ok(0)
}

/// Runs a command that works on an environment that is up.
fn run_in(environment: Environment, command: EnvironmentCommand) -> anyhow::Result<u8> {
    match command {
        EnvironmentCommand::Down { .. } => down::run(environment)?,
        EnvironmentCommand::Clean { yes, .. } => clean::run(environment, yes)?,
        EnvironmentCommand::Status { json } => status::run(environment, json)?,
        EnvironmentCommand::Publish {
            app,
            path,
            version,
            config,
        } => publish::run(environment, &app, &path, &version, config.as_deref())?,
        EnvironmentCommand::Deploy {
            reference,
            strategy,
            timeout,
            again,
        } => deploy::run(environment, &reference, strategy, timeout, again)?,
        EnvironmentCommand::Rollback {
            app,
            strategy,
            timeout,
        } => rollback::run(environment, &app, strategy, timeout)?,
        EnvironmentCommand::Releases { app, json } => releases::run(environment, &app, json)?,
        EnvironmentCommand::Scale { target, timeout } => scale::run(environment, &target, timeout)?,
        EnvironmentCommand::Logs { app, follow, tail } => {
            logs::run(environment, &app, follow, &tail)?;
        }
        EnvironmentCommand::Run { app, command } => {
            let code = commands::run::run(environment, &app, &command)?;
            return Ok(u8::try_from(code).unwrap_or(1));
        }
        EnvironmentCommand::Config(command) => run_config(environment, command)?,
        EnvironmentCommand::Secret(command) => match command {
            SecretCommand::Set { app, name } => secret::set(environment, &app, &name)?,
            SecretCommand::List { app, json } => secret::list(environment, &app, json)?,
            SecretCommand::Remove { app, name } => secret::remove(environment, &app, &name)?,
        },
        EnvironmentCommand::Domain(command) => match command {
            DomainCommand::Add {
                app,
                domain,
                certificates,
            } => domain::add(environment, &app, &domain, certificates.as_deref())?,
            DomainCommand::List { json } => domain::list(environment, json)?,
            DomainCommand::Remove { domain } => domain::remove(environment, &domain)?,
        },
        EnvironmentCommand::Console { port } => console::run(environment, port)?,
    }
    Ok(0)
}

fn run_config(environment: Environment, command: ConfigCommand) -> anyhow::Result<()> {
    use config::Action;
    let (app, layer, action) = match command {
        ConfigCommand::Get { app, layer, json } => (app, layer, Action::Get { json }),
        ConfigCommand::Set {
            app,
            assignments,
            layer,
        } => (app, layer, Action::Set(assignments)),
        ConfigCommand::Edit { app, layer } => (app, layer, Action::Edit),
        ConfigCommand::Diff { app } => (app, None, Action::Diff),
        ConfigCommand::Put { app, file, layer } => (app, layer, Action::Put(file)),
    };
    config::run(environment, &app, layer.as_deref(), &action)
}
