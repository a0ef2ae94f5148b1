//! The exit codes of `bootstrap`, after `sysexits.h` and POSIX shells.
//!
//! Every other code is the app's own; 128+n means that the app died of signal n, or that a signal
//! stopped the start.

/// A reason why `bootstrap` ends without the app's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// `bootstrap healthcheck`: the app isn't ready.
    Unhealthy,
    /// Wrong usage, or a bad setting.
    Usage,
    /// The artefact is damaged or refused: digest, size, archive, no checksum.
    Refused,
    /// The app, version, release or channel is unknown.
    NotFound,
    /// The repository was not reached before the deadline.
    Unreachable,
    /// The directory for apps is read-only, `noexec` or full.
    CannotWrite,
    /// The answer does not come from a repository.
    NotARepository,
    /// A token, signature or floor forbids the release.
    NotAllowed,
    /// The config does not parse, lacks a startup command, or names something undefined.
    Config,
    /// The command cannot be executed.
    NotExecutable,
    /// The command is not found.
    CommandNotFound,
}

impl Exit {
    pub const ALL: [Self; 11] = [
        Self::Unhealthy,
        Self::Usage,
        Self::Refused,
        Self::NotFound,
        Self::Unreachable,
        Self::CannotWrite,
        Self::NotARepository,
        Self::NotAllowed,
        Self::Config,
        Self::NotExecutable,
        Self::CommandNotFound,
    ];

    pub fn code(self) -> i32 {
        match self {
            Self::Unhealthy => 1,
            Self::Usage => 64,
            Self::Refused => 65,
            Self::NotFound => 66,
            Self::Unreachable => 69,
            Self::CannotWrite => 73,
            Self::NotARepository => 76,
            Self::NotAllowed => 77,
            Self::Config => 78,
            Self::NotExecutable => 126,
            Self::CommandNotFound => 127,
        }
    }

    /// The reason why a start ended with `code`; `None` for the app's own codes. 1 is an app's code:
    /// only `bootstrap healthcheck` ends with it.
    pub fn of_start(code: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|exit| *exit != Self::Unhealthy && exit.code() == code)
    }

    /// Whether another start of the same release can succeed without a change by a person.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unhealthy | Self::Unreachable)
    }

    /// The reason in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unhealthy => "not ready",
            Self::Usage => "usage or a bad setting",
            Self::Refused => "artefact damaged or refused",
            Self::NotFound => "unknown app, version, release or channel",
            Self::Unreachable => "repository not reached",
            Self::CannotWrite => "cannot write to the app's directory",
            Self::NotARepository => "the answer does not come from a repository",
            Self::NotAllowed => "not allowed",
            Self::Config => "invalid config",
            Self::NotExecutable => "command cannot be executed",
            Self::CommandNotFound => "command not found",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_names_one_reason() {
        for exit in Exit::ALL {
            let named = Exit::of_start(exit.code());
            assert_eq!(named, (exit != Exit::Unhealthy).then_some(exit));
        }
        for app in [0, 1, 2, 63, 67, 128, 143, 255] {
            assert_eq!(Exit::of_start(app), None, "{app}");
        }
    }
}
