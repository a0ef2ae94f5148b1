//! The options of the init, on a command line and across the handover.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use repository_api::units;

use super::mapping::{RemapExit, Rewrite};
use super::signals;

#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option that is on or off"
)]
pub(crate) struct Options {
    pub(crate) stop_signal: libc::c_int,
    pub(crate) drain: Duration,
    pub(crate) grace: Duration,
    pub(crate) signal_scope: SignalScope,
    pub(crate) remap_exit: RemapExit,
    pub(crate) rewrite: Rewrite,
    pub(crate) kill_leftovers: bool,
    /// Whether the init stops together with the command on SIGTSTP, SIGTTIN and SIGTTOU.
    pub(crate) suspend: bool,
    /// Whether orphaned descendants become children of this process if it is not PID 1.
    pub(crate) subreaper: bool,
    /// The signal that this process gets when its parent dies.
    pub(crate) parent_death_signal: Option<libc::c_int>,
    pub(crate) verbosity: Verbosity,
    /// The command's signal mask. All signals are blocked during the handover.
    pub(crate) mask: Option<u64>,
    pub(crate) log_json: bool,
    /// A descriptor that stays open while the init runs.
    pub(crate) tree_lock: Option<i32>,
    /// The descriptor from which the watcher reads its order.
    pub(crate) watch: Option<i32>,
    pub(crate) command: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stop_signal: libc::SIGTERM,
            drain: Duration::ZERO,
            grace: Duration::from_secs(8),
            signal_scope: SignalScope::Child,
            remap_exit: RemapExit::default(),
            rewrite: Rewrite::default(),
            kill_leftovers: true,
            suspend: false,
            subreaper: true,
            parent_death_signal: None,
            verbosity: Verbosity::Notable,
            mask: None,
            log_json: false,
            tree_lock: None,
            watch: None,
            command: Vec::new(),
        }
    }
}

/// The values that only the handover passes to the init.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed {
    pub(crate) mask: u64,
    pub(crate) log_json: bool,
    pub(crate) tree_lock: Option<i32>,
    pub(crate) watch: Option<i32>,
}

/// The init's log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    /// Actions of the init's own, such as the killing of leftovers.
    Notable,
    /// Also each forwarded signal and each reaped process.
    Everything,
}

/// The receivers of a forwarded signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalScope {
    Child,
    /// The command's process group.
    Group,
    /// Every descendant.
    All,
}

impl FromStr for SignalScope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "child" => Ok(Self::Child),
            "group" => Ok(Self::Group),
            "all" => Ok(Self::All),
            _ => Err("expected child, group or all"),
        }
    }
}

fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off"),
    }
}

impl Options {
    /// Sets an option by its name without dashes.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "stop-signal" => {
                self.stop_signal =
                    signals::parse(value).ok_or("expected a signal such as TERM or QUIT")?;
            }
            "drain" => self.drain = units::duration(value).map_err(|error| error.to_string())?,
            "grace" => self.grace = units::duration(value).map_err(|error| error.to_string())?,
            "signal-scope" => self.signal_scope = value.parse()?,
            "remap-exit" => self.remap_exit = value.parse()?,
            "rewrite" => self.rewrite = value.parse()?,
            "subreaper" => {
                self.subreaper = on_or_off(value)?;
            }
            "suspend" => self.suspend = on_or_off(value)?,
            "parent-death-signal" => {
                self.parent_death_signal =
                    Some(signals::parse(value).ok_or("expected a signal such as TERM or KILL")?);
            }
            "log" => {
                self.verbosity = match value {
                    "error" => Verbosity::Quiet,
                    "warn" | "info" => Verbosity::Notable,
                    "debug" | "trace" => Verbosity::Everything,
                    _ => return Err("expected error, warn, info, debug or trace".to_owned()),
                };
            }
            "leftovers" => {
                self.kill_leftovers = match value {
                    "kill" => true,
                    "leave" => false,
                    _ => return Err("expected kill or leave".to_owned()),
                };
            }
            "mask" => {
                self.mask = Some(
                    u64::from_str_radix(value, 16)
                        .map_err(|_| "expected a number in hexadecimal")?,
                );
            }
            "tree-lock" => {
                self.tree_lock = Some(value.parse().map_err(|_| "expected a descriptor")?);
            }
            "watch" => {
                self.watch = Some(value.parse().map_err(|_| "expected a descriptor")?);
            }
            "log-format" => {
                self.log_json = match value {
                    "text" => false,
                    "json" => true,
                    _ => return Err("expected text or json".to_owned()),
                };
            }
            _ => return Err("unknown option".to_owned()),
        }
        Ok(())
    }

    /// The command line of the init, for [`Options::set`] to read.
    pub(crate) fn to_arguments(&self, handed: Handed) -> Vec<OsString> {
        let Handed {
            mask,
            log_json,
            tree_lock,
            watch,
        } = handed;
        let scope = match self.signal_scope {
            SignalScope::Child => "child",
            SignalScope::Group => "group",
            SignalScope::All => "all",
        };
        let mut arguments: Vec<OsString> = vec![
            format!("--stop-signal={}", self.stop_signal).into(),
            format!("--drain={}ms", self.drain.as_millis()).into(),
            format!("--grace={}ms", self.grace.as_millis()).into(),
            format!("--signal-scope={scope}").into(),
            format!("--remap-exit={}", self.remap_exit).into(),
            format!(
                "--leftovers={}",
                if self.kill_leftovers { "kill" } else { "leave" }
            )
            .into(),
            format!("--log-format={}", if log_json { "json" } else { "text" }).into(),
            format!("--mask={mask:x}").into(),
        ];
        let level = match self.verbosity {
            Verbosity::Quiet => "error",
            Verbosity::Notable => "info",
            Verbosity::Everything => "debug",
        };
        arguments.push(format!("--log={level}").into());
        arguments.extend(tree_lock.map(|descriptor| format!("--tree-lock={descriptor}").into()));
        arguments.extend(watch.map(|descriptor| format!("--watch={descriptor}").into()));
        arguments.push("--".into());
        arguments.extend(self.command.iter().cloned());
        arguments
    }
}
