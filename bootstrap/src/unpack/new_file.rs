//! Creates a file below an open directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat, futimens};
use nix::sys::time::TimeSpec;

use super::error::UnpackError;
use super::rules::Rules;
use crate::tree::Entry;

/// A file to create.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    /// The file's directory.
    pub(super) parent: &'a OwnedFd,
    /// The whole path, for errors.
    pub(super) path: &'a Path,
    pub(super) mode: u32,
    /// Seconds since the epoch.
    pub(super) mtime: Option<i64>,
    pub(super) rules: Rules,
}

/// Creates a file, fills it by `write`, and returns its entry in the inventory.
pub(super) fn create(
    new: &NewFile<'_>,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<Entry, UnpackError> {
    let NewFile {
        parent,
        path,
        mode,
        mtime,
        rules,
    } = *new;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(rules.mode(mode));
    let mut file = match openat(parent, name_of(path), flags, mode) {
        Ok(file) => File::from(file),
        Err(error) => return Err(failed(path, error)),
    };
    let failed = |error| failed(path, error);
    rules.hand_over(&file).map_err(failed)?;
    write(&mut file).map_err(|source| UnpackError::Write {
        path: path.display().to_string(),
        source,
    })?;
    if let Some(seconds) = mtime {
        let time = TimeSpec::new(seconds, 0);
        futimens(file.as_fd(), &time, &time).map_err(failed)?;
    }
    let mut status = fstat(&file).map_err(failed)?;
    // The umask can have removed bits. A check costs less than a change.
    if status.st_mode & 0o7777 != mode.bits() {
        fchmod(file.as_fd(), mode).map_err(failed)?;
        status = fstat(&file).map_err(failed)?;
    }
    Ok(Entry::file(&status))
}

/// The error for a failed system call on `path`.
pub(super) fn failed(path: &Path, error: Errno) -> UnpackError {
    if matches!(error, Errno::ELOOP | Errno::ENOTDIR | Errno::EXDEV) {
        return UnpackError::refused(format!(
            "{:?} leads through something that isn't a directory",
            path.display().to_string()
        ));
    }
    if error == Errno::EEXIST {
        return UnpackError::refused(format!(
            "{:?} is there twice: once as a directory, or under a name that the file system treats as the same",
            path.display().to_string()
        ));
    }
    if error == Errno::ENAMETOOLONG {
        return UnpackError::refused(format!(
            "{:?} has a name that is too long",
            path.display().to_string()
        ));
    }
    UnpackError::Write {
        path: path.display().to_string(),
        source: error.into(),
    }
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
