//! Settings that belong together.

use std::str::FromStr;
use std::time::Duration;

use repository_api::signature::TrustedKeys;

use crate::exit::Exit;

/// The reaction to a change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// A change counts after this period without another change.
    pub(crate) debounce: Duration,
    /// Containers spread their reactions over this period.
    pub(crate) splay: Duration,
}

/// The releases that may start.
#[derive(Debug)]
pub(crate) struct Trust {
    /// With keys, only releases that one of them signed.
    pub(crate) keys: Option<TrustedKeys>,
    /// The lowest number of a release.
    pub(crate) min_release: Option<u64>,
}

impl Trust {
    /// The exit code for a difference from the release. With keys, the difference is from what was signed.
    pub(crate) fn exit_for(&self, unsigned: Exit) -> Exit {
        if self.keys.is_some() {
            Exit::NotAllowed
        } else {
            unsigned
        }
    }
}

/// Limits of an artefact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) download: u64,
    pub(crate) unpacked: u64,
    pub(crate) entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Run the app under the init.
    Supervise,
    /// Exec the app.
    Exec,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "supervise" => Ok(Self::Supervise),
            "exec" => Ok(Self::Exec),
            _ => Err("expected supervise or exec"),
        }
    }
}

/// Variables that override config keys.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) startup_command: Option<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) drain_period: Option<String>,
    pub(crate) grace_period: Option<String>,
    pub(crate) on_change: Option<String>,
}

/// A token. Its `Debug` output is empty of secrets.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}
