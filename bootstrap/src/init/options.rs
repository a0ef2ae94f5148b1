//! What the init can be told.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use repository_api::units;

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
    /// Whether the init stops too when it is told to stop the command.
    pub(crate) suspend: bool,
    /// Whether orphans of all descendants come to this process when it is not PID 1.
    pub(crate) subreaper: bool,
    /// What this process gets when its parent dies.
    pub(crate) parent_death_signal: Option<libc::c_int>,
    pub(crate) verbosity: Verbosity,
    /// The mask that the command gets: across the handover this process's own is another.
    pub(crate) mask: Option<u64>,
    pub(crate) log_json: bool,
    /// A descriptor that is held open for as long as the init lives.
    pub(crate) tree_lock: Option<i32>,
    /// A descriptor from which the watcher reads what it is to watch.
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

/// What bootstrap hands over to its init besides the options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed {
    pub(crate) mask: u64,
    pub(crate) log_json: bool,
    pub(crate) tree_lock: Option<i32>,
    pub(crate) watch: Option<i32>,
}

/// What the init says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    /// What it does unasked, such as killing what is left.
    Notable,
    /// Each signal that is forwarded and each process that is reaped, too.
    Everything,
}

/// Who gets a forwarded signal.
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

/// `FROM:TO,FROM:TO`, or `none`.
fn pairs<T: Ord>(
    text: &str,
    parse: impl Fn(&str, &str) -> Option<(T, T)>,
) -> Option<BTreeMap<T, T>> {
    if text == "none" {
        return Some(BTreeMap::new());
    }
    text.split(',')
        .map(|pair| pair.split_once(':').and_then(|(from, to)| parse(from, to)))
        .collect()
}

/// Exit codes to change: `143:0,130:0`, or `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RemapExit(BTreeMap<u8, u8>);

impl RemapExit {
    pub(crate) fn apply(&self, code: i32) -> i32 {
        u8::try_from(code)
            .ok()
            .and_then(|code| self.0.get(&code))
            .map_or(code, |code| i32::from(*code))
    }
}

impl FromStr for RemapExit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        pairs(text, |from, to| {
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .map(Self)
        .ok_or("expected none, or pairs of exit codes such as 143:0")
    }
}

impl std::fmt::Display for RemapExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(from, to)| format!("{from}:{to}"))
            .collect();
        f.write_str(&pairs.join(","))
    }
}

/// Signals to take for others: `15:3`, or `2:0` for one to drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rewrite(BTreeMap<libc::c_int, libc::c_int>);

impl Rewrite {
    /// What a signal is taken for; `None` for one that is dropped.
    pub(crate) fn apply(&self, signal: libc::c_int) -> Option<libc::c_int> {
        let taken = self.0.get(&signal).copied().unwrap_or(signal);
        (taken != 0).then_some(taken)
    }
}

impl FromStr for Rewrite {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let signal = |from: &str, to: &str| {
            let to = if to == "0" { 0 } else { signals::parse(to)? };
            Some((signals::parse(from)?, to))
        };
        pairs(text, signal)
            .map(Self)
            .ok_or("expected none, or pairs of signals such as TERM:QUIT or 2:0")
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
    /// Sets the option of a command line, by its name without dashes.
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
            _ => return Err("there is no such option".to_owned()),
        }
        Ok(())
    }

    /// The arguments that [`Options::set`] reads back, with the command.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_changed_as_told() {
        let remap: RemapExit = "143:0,1:7".parse().unwrap();
        assert_eq!([0, 1, 2, 143].map(|code| remap.apply(code)), [0, 7, 2, 0]);
        assert_eq!(remap.to_string().parse(), Ok(remap));
        assert_eq!("none".parse(), Ok(RemapExit::default()));
        for bad in ["", "1", "1:", "256:0", "1:0,"] {
            assert!(bad.parse::<RemapExit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_are_taken_for_others_as_told() {
        let rewrite: Rewrite = "15:3,INT:0,RTMIN+1:TERM".parse().unwrap();
        assert_eq!(
            [15, 2, 35, 1].map(|signal| rewrite.apply(signal)),
            [Some(3), None, Some(15), Some(1)]
        );
        for bad in ["", "15", "15:", ":3", "0:3", "15:65", "15:3,"] {
            assert!(bad.parse::<Rewrite>().is_err(), "{bad}");
        }
    }

    #[test]
    fn arguments_read_back() {
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
        let Ok(crate::arguments::Command::Init(read)) = crate::arguments::parse(line) else {
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
