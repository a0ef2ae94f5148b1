//! Locks on the directory of a store. One server uses it at a time. Its state in memory and its cleanup at start
//! depend on that.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::StorageError;

/// How long a new container waits for the one that it replaces to exit.
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct ServerLock {
    _file: File,
}

impl ServerLock {
    pub(super) async fn take(root: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(failed)?;
        let file = open(&root.join(".lock")).map_err(failed)?;
        let deadline = Instant::now() + TIMEOUT;
        let mut is_logged = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    if !std::mem::replace(&mut is_logged, true) {
                        tracing::warn!(
                            "another repository uses this directory: waiting up to {TIMEOUT:?} for it to exit"
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

/// The lock of a command that works on the directory, with or without a server. Several commands share it.
#[derive(Debug)]
pub(super) struct CommandLock {
    _file: File,
}

impl CommandLock {
    pub(super) fn take(root: &Path) -> io::Result<Self> {
        let file = open(&root.join(".beside"))?;
        file.lock_shared()?;
        Ok(Self { _file: file })
    }

    /// Whether no command holds the lock.
    pub(super) fn is_free(root: &Path) -> io::Result<bool> {
        match open(&root.join(".beside"))?.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}
