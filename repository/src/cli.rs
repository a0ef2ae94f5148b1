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

use crate::storage::Storage;
use arguments::Command;
use settings::Settings;

/// A command that works on the store and ends. A server may be running beside it.
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

/// Reads the settings and starts the log.
pub(crate) fn start() -> Result<Settings, Box<dyn Error>> {
    let (settings, warnings) = settings::read(std::env::vars_os())?;
    logging::start(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// Opens the store of the settings; creates it if `may_be_new`.
fn open(may_be_new: bool) -> Result<(Settings, Storage), Box<dyn Error>> {
    let settings = start()?;
    let storage = Storage::open_beside(&settings.storage, may_be_new)?;
    Ok((settings, storage))
}
