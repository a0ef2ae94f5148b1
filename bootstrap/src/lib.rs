//! `bootstrap`: from an app's name to its running process.
//!
//! A start takes these steps, in [`start`]:
//!
//! 1. [`arguments`] and [`settings`]: read the command line and the variables
//! 2. [`release`]: fetch and verify the release document, from the [`repository`]
//! 3. [`fetch`]: download the artefact
//! 4. [`verify`]: compare size and SHA-256
//! 5. [`unpack`]: unpack into staging; [`tree`]: rename into place, and retire superseded trees
//! 6. [`environment`]: merge the config layers, the secrets and the container's variables
//! 7. [`handover`]: exec bootstrap again, so that the memory of steps 1 to 6 is gone
//! 8. [`init`]: start the app, forward signals, reap, drain, stop, exit
//!
//! Beside the app, [`watch`] watches for changes, and [`healthcheck`] checks the app. [`early`] runs before
//! [`main`]; [`image`] looks after the executable's memory.
//!
//! The crate is a library so that fuzzers can call its parts.

mod arguments;
mod early;
mod environment;
mod exit;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handover;
mod healthcheck;
mod image;
mod init;
mod logging;
mod progress;
mod release;
mod repository;
mod settings;
mod signature;
mod start;
mod tree;
mod unpack;
mod user;
mod verify;
mod watch;

use std::io::Write as _;

use arguments::Command;
use exit::{Exit, Failure};

/// Runs the command of the command line, and ends the process.
pub fn main() -> ! {
    let outcome = match arguments::parse(std::env::args_os()) {
        Ok(Command::Run(arguments)) => start::run(&arguments),
        Ok(Command::Fetch(arguments)) => start::fetch_only(&arguments),
        Ok(Command::Init(options)) => init::run(&options),
        Ok(Command::Healthcheck) => healthcheck::run(),
        Ok(Command::Watch) => watch::run(),
        Ok(Command::Remove(paths)) => {
            // The init ends this process together with the app.
            early::exit_silently();
            logging::start(settings::log_settings(std::env::vars_os()));
            tree::removal::remove_all(&paths);
            Ok(0)
        }
        Ok(Command::Sleep(duration)) => {
            std::thread::sleep(duration);
            Ok(0)
        }
        Ok(Command::Print(text)) => print(&text),
        Err(failure) => Err(failure),
    };
    let code = outcome.unwrap_or_else(|failure| {
        logging::failure(&failure);
        failure.exit.code()
    });
    std::process::exit(code)
}

fn print(text: &str) -> Result<i32, Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| {
            Failure::new(Exit::CannotWrite, "failed to write to standard output").because(error)
        })?;
    Ok(0)
}
