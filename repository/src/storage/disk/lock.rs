//! One server at a time: what it has in memory, and what it may sweep, depend on that.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::StorageError;

/// A container that is replaced ends while its successor starts.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) async fn take(root: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(failed)?;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(".lock"))
            .map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(
                            "another repository uses this directory: waiting for its end for up to {PATIENCE:?}"
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StorageError::InUse {
                        path: root.to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}

/// A command that works on the directory, beside a server or without one. There may be several.
#[derive(Debug)]
pub(super) struct Beside {
    _file: File,
}

impl Beside {
    pub(super) fn join(root: &Path) -> io::Result<Self> {
        let file = Self::open(root)?;
        file.lock_shared()?;
        Ok(Self { _file: file })
    }

    /// Whether no command is at work.
    pub(super) fn nobody(root: &Path) -> io::Result<bool> {
        match Self::open(root)?.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn open(root: &Path) -> io::Result<File> {
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(".beside"))
    }
}
