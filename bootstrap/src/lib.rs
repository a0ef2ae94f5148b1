//! `bootstrap`: from an app's name to its running process. A library only so that fuzzers reach its
//! parts: the program is [`main`].
//!
//! The way of a start, in the order in which the code reads:
//!
//! 1. [`arguments`] and [`settings`]
//! 2. [`release`]: the release document (retry, back-off)
//! 3. [`fetch`]: the artefact (resume, stall time-out)
//! 4. [`verify`]: size and SHA-256
//! 5. [`unpack`] into staging, [`tree`]: rename into place
//! 6. [`environment`]: the layers, secrets and the container's own variables
//! 7. [`handover`]: exec of itself, so that the memory of steps 1 to 6 is gone
//! 8. [`init`]: start, forward, reap, drain, grace, exit; beside it, if wanted, [`watch`]

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

/// The program: reads the command line, does what it says, and ends the process.
pub fn main() -> ! {
    let outcome = match arguments::parse(std::env::args_os()) {
        Ok(Command::Run(arguments)) => start::run(&arguments),
        Ok(Command::Fetch(arguments)) => start::fetch_only(&arguments),
        Ok(Command::Init(options)) => init::run(&options),
        Ok(Command::Healthcheck) => healthcheck::run(),
        Ok(Command::Watch) => watch::run(),
        Ok(Command::Remove(paths)) => {
            // The end of the app ends this process, which is no news.
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
