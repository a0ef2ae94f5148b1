//! Exit codes (in the tradition of sysexits.h) and the failure that carries one.

use std::error::Error;

/// Why a start ended, as the exit code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// `healthcheck`: not ready.
    Unhealthy,
    /// Usage, or a bad setting.
    Usage,
    /// Artefact damaged or refused: digest, size, archive, no checksum.
    Refused,
    /// No such app, version, release or channel.
    NotFound,
    /// The repository was not reached before the deadline.
    Unreachable,
    /// Cannot write where the app must go.
    CannotWrite,
    /// What answers is no repository.
    NotARepository,
    /// Not allowed.
    NotAllowed,
    /// The config does not parse, has no startup command, or names what is undefined.
    Config,
    /// The command cannot be executed.
    NotExecutable,
    /// The command is not found.
    CommandNotFound,
}

impl Exit {
    pub(crate) fn code(self) -> i32 {
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
}

/// A failure: complete after "failed to", or a sentence of its own; what caused it follows it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            source: None,
        }
    }

    /// Says what was asked, where an answer from outside is the failure.
    pub(crate) fn about(mut self, what: &str) -> Self {
        if matches!(
            self.exit,
            Exit::NotFound | Exit::NotAllowed | Exit::NotARepository
        ) && !self.message.contains(what)
        {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The failure to write below `path`, with what to do about it.
    pub(crate) fn cannot_write(path: &std::path::Path, error: impl Into<std::io::Error>) -> Self {
        use std::io::ErrorKind;
        let error = error.into();
        let advice = match error.kind() {
            ErrorKind::ReadOnlyFilesystem => {
                ": the file system is read-only, mount a volume there or a tmpfs with --tmpfs DIR:exec"
            }
            ErrorKind::PermissionDenied => {
                ": give the directory to the user that the container runs as, or set BOOTSTRAP_DIR to one that it may write to"
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": no space is left there",
            _ => "",
        };
        Self::new(
            Exit::CannotWrite,
            format!("failed to write to {}{advice}", path.display()),
        )
        .because(error)
    }

    /// The whole chain in one line; a cause that only repeats what was said is left out.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
