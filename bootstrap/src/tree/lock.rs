//! Lock files, by flock(2).

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a lock file; creates a missing one. Refuses a link, which could lead elsewhere, and a pipe,
/// which would block.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let open = |write: bool| {
        let mut options = File::options();
        options.read(true).write(write).create(write);
        options
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    // A lock on another user's file needs no right to write.
    let file = open(true).or_else(|error| open(false).map_err(|_| error))?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Whether a lock was acquired. A file system without locks is not shared between instances.
pub(super) fn acquired(outcome: Result<(), TryLockError>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
