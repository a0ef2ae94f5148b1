//! The command line: arguments, settings, the log, and one file per command.

pub(crate) mod arguments;
mod check;
mod export;
mod gc;
mod healthcheck;
mod import;
pub(crate) mod logging;
mod output;
pub(crate) mod settings;
mod token;

use std::error::Error;

use tracing_appender::non_blocking::WorkerGuard;

use crate::storage::Storage;
use arguments::Command;
use settings::Settings;

/// Runs a command on the store, with or without a server beside it.
pub(crate) async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Healthcheck => healthcheck::run().await,
        Command::Check => check::run().await,
        Command::Gc { deletes } => gc::run(deletes).await,
        Command::Export(target) => export::run(&target).await,
        Command::Import(source) => import::run(&source).await,
        Command::Token(command) => token::run(command).await,
        Command::Serve | Command::Help(_) => Ok(()),
    }
}

/// Reads the settings and starts the log of a command.
fn start() -> Result<Settings, Box<dyn Error>> {
    let (settings, warnings) = settings::read(std::env::vars_os())?;
    logging::start(&settings);
    log_warnings(warnings);
    Ok(settings)
}

/// Reads the settings and starts the log of the server. Dropping the guard ends the log.
pub(crate) fn start_server() -> Result<(Settings, WorkerGuard), Box<dyn Error>> {
    let (settings, warnings) = settings::read(std::env::vars_os())?;
    let log = logging::start_in_background(&settings);
    log_warnings(warnings);
    Ok((settings, log))
}

fn log_warnings(warnings: Vec<String>) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Opens the store that the settings name; creates it if `create_if_missing`.
fn open(create_if_missing: bool) -> Result<(Settings, Storage), Box<dyn Error>> {
    let settings = start()?;
    let storage = Storage::open_for_command(&settings.storage, create_if_missing)?;
    Ok((settings, storage))
}
