//! A failure, and the exit code that it ends bootstrap with.

use std::error::Error;

pub(crate) use repository_api::Exit;

/// A failure: a message that is complete on its own, and its cause.
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

    /// The failure of a health check.
    pub(crate) fn unhealthy(reason: impl Into<String>) -> Self {
        Self::new(Exit::Unhealthy, reason)
    }

    /// Puts the failed request before an answer of the repository.
    pub(crate) fn about(mut self, request: &str) -> Self {
        if matches!(
            self.exit,
            Exit::NotFound | Exit::NotAllowed | Exit::NotARepository
        ) && !self.message.contains(request)
        {
            self.message = format!("{request}: {}", self.message);
        }
        self
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A failure to write below `path`, with advice for the cause.
    pub(crate) fn cannot_write(path: &std::path::Path, error: impl Into<std::io::Error>) -> Self {
        use std::io::ErrorKind;
        let error = error.into();
        let advice = match error.kind() {
            ErrorKind::ReadOnlyFilesystem => {
                ": the file system is read-only; mount a volume there, or a tmpfs with --tmpfs DIR:exec"
            }
            ErrorKind::PermissionDenied => {
                ": give the directory to the container's user, or set BOOTSTRAP_DIR to a writable directory"
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                ": no space is left there; free some, or raise the quota"
            }
            _ => "",
        };
        Self::new(
            Exit::CannotWrite,
            format!("failed to write to {}{advice}", path.display()),
        )
        .because(error)
    }

    /// The message and its causes in one line.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its causes in one line, without causes that the text already contains.
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
