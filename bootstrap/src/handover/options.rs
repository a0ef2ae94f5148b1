//! The options of the init, and the order of its watcher, from settings and config.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;

use tracing::Level;

use super::prepared::Prepared;
use crate::environment::{Environment, command};
use crate::exit::{Exit, Failure};
use crate::init::{self, Options, Verbosity};
use crate::settings::Mode;
use crate::watch::Order;

/// The options of the init, with the command.
pub(super) fn options(prepared: &Prepared, command: &[OsString]) -> Result<Options, Failure> {
    let Prepared {
        settings,
        environment,
        ..
    } = prepared;
    let mut options = Options {
        signal_scope: settings.signal_scope,
        remap_exit: settings.remap_exit.clone(),
        verbosity: match settings.log.level {
            Level::ERROR => Verbosity::Quiet,
            Level::WARN | Level::INFO => Verbosity::Notable,
            Level::DEBUG | Level::TRACE => Verbosity::Everything,
        },
        command: words(
            settings.overrides.startup_command.as_deref(),
            environment,
            command,
        )?,
        ..Options::default()
    };
    let keys = [
        (
            "stop-signal",
            "STOP_SIGNAL",
            &settings.overrides.stop_signal,
        ),
        ("drain", "DRAIN_PERIOD", &settings.overrides.drain_period),
        ("grace", "GRACE_PERIOD", &settings.overrides.grace_period),
    ];
    for (option, key, setting) in keys {
        let (value, name, exit) = match (setting, environment.get(key)) {
            (Some(value), _) => (value.clone(), format!("BOOTSTRAP_{key}"), Exit::Usage),
            (None, Some(value)) => (
                value.to_string_lossy().into_owned(),
                key.to_owned(),
                Exit::Config,
            ),
            (None, None) => continue,
        };
        options
            .set(option, &value)
            .map_err(|error| Failure::new(exit, format!("{name} is invalid: {error}")))?;
    }
    Ok(options)
}

/// The watcher's order, if `ON_CHANGE` asks for a watcher.
pub(super) fn order(prepared: &Prepared) -> Result<Option<File>, Failure> {
    let Prepared {
        settings,
        release,
        environment,
        ..
    } = prepared;
    let (text, name, exit) = match (&settings.overrides.on_change, environment.get("ON_CHANGE")) {
        (Some(text), _) => (text.clone(), "BOOTSTRAP_ON_CHANGE", Exit::Usage),
        (None, Some(text)) => (
            text.to_string_lossy().into_owned(),
            "ON_CHANGE",
            Exit::Config,
        ),
        (None, None) => return Ok(None),
    };
    let signal = match text.strip_prefix("signal:") {
        Some(signal) => init::parse_signal(signal),
        None if text == "ignore" => return Ok(None),
        // Like `docker stop`: the app drains and ends, and the engine starts it again.
        None => (text == "exit").then_some(libc::SIGTERM),
    };
    let refused = |reason: &str| Failure::new(exit, format!("{name} is invalid: {reason}"));
    let signal =
        signal.ok_or_else(|| refused("expected ignore, exit, or a signal such as signal:HUP"))?;
    if settings.mode == Mode::Exec {
        return Err(refused(
            "with BOOTSTRAP_MODE=exec, no process watches for changes",
        ));
    }
    if release.version.is_none() {
        tracing::warn!("{name} has no effect: a plain file server does not announce changes");
        return Ok(None);
    }
    Order::new(settings, release, signal)
        .write()
        .map(Some)
        .map_err(|error| {
            Failure::new(
                Exit::CannotWrite,
                "failed to prepare the watcher for changes",
            )
            .because(error)
        })
}

/// The command from the command line, or the config's `STARTUP_COMMAND` as words.
fn words(
    setting: Option<&str>,
    environment: &Environment,
    command: &[OsString],
) -> Result<Vec<OsString>, Failure> {
    if !command.is_empty() {
        return Ok(command.to_vec());
    }
    let (text, name) = match (setting, environment.get("STARTUP_COMMAND")) {
        (Some(text), _) => (OsStr::new(text), "BOOTSTRAP_STARTUP_COMMAND"),
        (None, Some(text)) => (text, "STARTUP_COMMAND"),
        (None, None) => {
            return Err(Failure::new(
                Exit::Config,
                "no STARTUP_COMMAND: set one in the app's config, as in STARTUP_COMMAND=./hello-world, or write the command after --",
            ));
        }
    };
    command::split(text.as_bytes(), environment)
        .map_err(|error| Failure::new(Exit::Config, format!("{name} is invalid")).because(error))
}
