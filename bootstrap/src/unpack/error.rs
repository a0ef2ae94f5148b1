//! Errors of unpacking.

use std::path::Path;

use crate::exit::{Exit, Failure};

/// An archive is refused or damaged, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("{0}")]
    Refused(String),
    #[error("it cannot be read as {format}")]
    Damaged {
        format: &'static str,
        source: std::io::Error,
    },
    #[error("failed to write {path}")]
    Write {
        path: String,
        source: std::io::Error,
    },
}

impl UnpackError {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    pub(super) fn into_failure(self, file: &str, tree: &Path) -> Failure {
        match self {
            Self::Write { path, source } => Failure::cannot_write(&tree.join(path), source),
            error => Failure::new(Exit::Refused, format!("{file} is refused")).because(error),
        }
    }
}
