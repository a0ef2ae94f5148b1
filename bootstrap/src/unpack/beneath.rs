//! Writes below a directory handle, and nowhere else.
//!
//! Each directory of a path is opened by its name from its parent's handle, with `O_NOFOLLOW`. The handles
//! of the last path stay open, because most entries are in the same directory as the entry before. Files
//! and links are created with `O_EXCL`. So no link that the archive made is ever followed, and modes and
//! times are set through handles of new files.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::error::UnpackError;
use super::new_file::{failed, name_of};
use super::paths::{MAX_PATH, link_stays_inside};
use super::rules::Rules;
use crate::tree::Entry;

/// A link that cannot be made. [`LinkError::of`] adds the entry's name.
#[derive(Debug)]
pub(super) enum LinkError {
    Refused(String),
    Other(UnpackError),
}

impl LinkError {
    pub(super) fn of(self, entry: &str) -> UnpackError {
        match self {
            Self::Refused(reason) => UnpackError::refused(format!("{entry:?} {reason}")),
            Self::Other(error) => error,
        }
    }
}

impl From<UnpackError> for LinkError {
    fn from(error: UnpackError) -> Self {
        Self::Other(error)
    }
}

#[derive(Debug)]
pub(super) struct Beneath {
    root: Arc<OwnedFd>,
    rules: Rules,
    /// The last used directory, and the handle of each directory on its path.
    last: PathBuf,
    handles: Vec<Arc<OwnedFd>>,
    /// Directories that were created for a path, without an entry of their own.
    implied: u64,
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Beneath {
    pub(super) fn new(root: OwnedFd, rules: Rules) -> Self {
        Self {
            root: Arc::new(root),
            rules,
            last: PathBuf::new(),
            handles: Vec::new(),
            implied: 0,
        }
    }

    /// The number of directories that were created without an entry of their own.
    pub(super) fn implied(&self) -> u64 {
        self.implied
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether this is the last used directory.
    pub(super) fn is_last(&self, directory: &Path) -> bool {
        // Both are normalized, so their bytes can be compared, which is faster than their components.
        self.last.as_os_str() == directory.as_os_str()
    }

    /// Creates a directory and its missing parents.
    pub(super) fn directory(&mut self, path: &Path) -> Result<(), UnpackError> {
        let before = self.implied;
        self.open(path, true)?;
        // The directory itself has an entry.
        if self.implied > before {
            self.implied -= 1;
        }
        Ok(())
    }

    /// Opens a directory; with `create`, creates missing directories.
    fn open(&mut self, path: &Path, create: bool) -> Result<Arc<OwnedFd>, UnpackError> {
        if !self.is_last(path) {
            let common = path
                .components()
                .zip(self.last.components())
                .take_while(|(left, right)| left == right)
                .count();
            self.handles.truncate(common);
            self.last = path.components().take(common).collect();
            for name in path.components().skip(common) {
                let parent = self.handles.last().unwrap_or(&self.root);
                let handle = self
                    .step(&Arc::clone(parent), name.as_os_str(), create)
                    .map_err(|error| failed(path, error))?;
                self.handles.push(Arc::new(handle));
                self.last.push(name);
            }
        }
        Ok(Arc::clone(self.handles.last().unwrap_or(&self.root)))
    }

    fn step(&mut self, parent: &OwnedFd, name: &OsStr, create: bool) -> nix::Result<OwnedFd> {
        let created = create
            && match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => true,
                Err(Errno::EEXIST) => false,
                Err(error) => return Err(error),
            };
        let handle = openat(parent, name, DIRECTORY, Mode::empty())?;
        if created {
            self.implied += 1;
            self.rules.hand_over(&handle)?;
        }
        Ok(handle)
    }

    /// Opens the directory that contains `path`.
    pub(super) fn parent(&mut self, path: &Path) -> Result<Arc<OwnedFd>, UnpackError> {
        self.open(path.parent().unwrap_or(Path::new("")), true)
    }

    /// Removes a file or link that a second entry of the same name replaces. Refuses to replace a
    /// directory.
    pub(super) fn remove_earlier(&mut self, path: &Path) -> Result<(), UnpackError> {
        let parent = self.parent(path)?;
        match unlinkat(&*parent, name_of(path), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => Err(failed(path, Errno::EEXIST)),
            Err(error) => Err(failed(path, error)),
        }
    }

    pub(super) fn symlink(&mut self, path: &Path, target: &[u8]) -> Result<Entry, LinkError> {
        if target.is_empty() || target.contains(&0) || target.len() > MAX_PATH {
            return Err(LinkError::Refused(
                "is a link to an impossible path".to_owned(),
            ));
        }
        let target = Path::new(OsStr::from_bytes(target));
        if !link_stays_inside(path, target) {
            return Err(LinkError::Refused(
                "is a symbolic link out of the tree: link inside the tree, or create the link when the app starts".to_owned(),
            ));
        }
        let parent = self.parent(path)?;
        symlinkat(target, &*parent, name_of(path)).map_err(|error| failed(path, error))?;
        Ok(Entry::link(target))
    }

    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<Entry, LinkError> {
        let missing = || {
            LinkError::Refused(
                "is a hard link to something other than an earlier file of the archive".to_owned(),
            )
        };
        let holder = target.parent().unwrap_or(Path::new(""));
        let target_name = target.file_name().ok_or_else(missing)?;
        let holder = self.open(holder, false).map_err(|_| missing())?;
        let status: FileStat =
            fstatat(&*holder, target_name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|_| missing())?;
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(missing());
        }
        if path != target {
            self.remove_earlier(path)?;
            let parent = self.parent(path)?;
            linkat(
                &*holder,
                target_name,
                &*parent,
                name_of(path),
                AtFlags::empty(),
            )
            .map_err(|error| failed(path, error))?;
        }
        Ok(Entry::file(&status))
    }

    pub(super) fn set_directory_mode(&mut self, path: &Path, mode: u32) -> Result<(), UnpackError> {
        let handle = self.open(path, false)?;
        let mode = self.rules.mode(mode);
        fchmod(&*handle, Mode::from_bits_truncate(mode)).map_err(|error| failed(path, error))
    }
}
