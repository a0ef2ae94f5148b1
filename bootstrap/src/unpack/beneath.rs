//! Writing beneath a directory handle, and nowhere else.
//!
//! Every directory on the way is opened by its name from its parent's handle, with `O_NOFOLLOW`; the
//! handles of the path that was used last are kept, because most entries follow their neighbours.
//! Files and links are created with `O_EXCL`. So nothing that an archive made before is ever
//! followed, and modes and times are set through handles of what was just made.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::{Rules, UnpackError};
use crate::tree::Entry;

/// Bytes of a path at the most: with the directory before it, it must stay below the kernel's
/// `PATH_MAX` of 4096.
const MAX_PATH: usize = 3072;

/// Directories in one another at the most.
const MAX_DEPTH: usize = 128;

/// A link that cannot be made: `of` adds whose it is.
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
    /// The path that was used last, and the handle of each directory on it.
    last: PathBuf,
    handles: Vec<Arc<OwnedFd>>,
    /// Directories that no entry named, but whose paths led through them.
    made: u64,
}

/// The relative path of an archive's name, or why it is refused. The whole tree is the empty path.
pub(super) fn inside(raw: &[u8]) -> Result<PathBuf, &'static str> {
    if raw.is_empty() {
        return Err("has an empty name");
    }
    if raw.contains(&0) {
        return Err("has a NUL in its name");
    }
    if raw.len() > MAX_PATH {
        return Err("has a name of more than 3072 bytes");
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(raw)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("leads out of the tree with \"..\""),
            Component::RootDir | Component::Prefix(_) => return Err("is an absolute path"),
        }
    }
    if path.components().count() > MAX_DEPTH {
        return Err("lies more than 128 directories deep");
    }
    Ok(path)
}

/// Whether a link at `path` to `target` stays inside, and every path through it: `..` may only lead
/// up at its beginning, over directories that are known to be no links. Behind a name it would be
/// taken from wherever that name leads.
fn link_stays_inside(path: &Path, target: &Path) -> bool {
    let mut above = path.components().count().saturating_sub(1);
    let mut named = false;
    for component in target.components() {
        match component {
            Component::Normal(_) => named = true,
            Component::CurDir => {}
            Component::ParentDir if !named && above > 0 => above -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn failed(path: &Path, error: Errno) -> UnpackError {
    if matches!(error, Errno::ELOOP | Errno::ENOTDIR | Errno::EXDEV) {
        return UnpackError::refused(format!(
            "{:?} leads through something that is no directory",
            path.display().to_string()
        ));
    }
    if error == Errno::EEXIST {
        return UnpackError::refused(format!(
            "{:?} is there twice, once as a directory, or under a name that the file system takes for the same",
            path.display().to_string()
        ));
    }
    if error == Errno::ENAMETOOLONG {
        return UnpackError::refused(format!(
            "{:?} has too long a name",
            path.display().to_string()
        ));
    }
    UnpackError::Write {
        path: path.display().to_string(),
        source: error.into(),
    }
}

/// The last part of a path.
fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// A file that is to be made.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    /// The directory that holds it.
    pub(super) parent: &'a OwnedFd,
    /// Its whole path, for errors; the last part is its name.
    pub(super) path: &'a Path,
    pub(super) mode: u32,
    /// Seconds since the epoch.
    pub(super) mtime: Option<i64>,
    pub(super) rules: Rules,
}

/// Makes a file, has `write` fill it, and returns what the tree's inventory says of it.
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
    // The umask takes bits away; asking costs less than setting.
    if status.st_mode & 0o7777 != mode.bits() {
        fchmod(file.as_fd(), mode).map_err(failed)?;
        status = fstat(&file).map_err(failed)?;
    }
    Ok(Entry::file(&status))
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
            made: 0,
        }
    }

    /// Directories that were made and that no entry named.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether this directory was the last to be used.
    pub(super) fn is_last(&self, directory: &Path) -> bool {
        // Both are in their shortest form; comparing them part by part would be slow.
        self.last.as_os_str() == directory.as_os_str()
    }

    /// Makes the directory and those above it, as far as they are missing.
    pub(super) fn directory(&mut self, path: &Path) -> Result<(), UnpackError> {
        let before = self.made;
        self.open(path, true)?;
        // The last one has an entry of its own.
        if self.made > before {
            self.made -= 1;
        }
        Ok(())
    }

    /// The handle of a directory; with `make`, those that are missing are made.
    fn open(&mut self, path: &Path, make: bool) -> Result<Arc<OwnedFd>, UnpackError> {
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
                    .step(&Arc::clone(parent), name.as_os_str(), make)
                    .map_err(|error| failed(path, error))?;
                self.handles.push(Arc::new(handle));
                self.last.push(name);
            }
        }
        Ok(Arc::clone(self.handles.last().unwrap_or(&self.root)))
    }

    fn step(&mut self, parent: &OwnedFd, name: &OsStr, make: bool) -> nix::Result<OwnedFd> {
        let made = make
            && match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => true,
                Err(Errno::EEXIST) => false,
                Err(error) => return Err(error),
            };
        let handle = openat(parent, name, DIRECTORY, Mode::empty())?;
        if made {
            self.made += 1;
            self.rules.hand_over(&handle)?;
        }
        Ok(handle)
    }

    /// The handle of the directory that holds `path`.
    pub(super) fn parent(&mut self, path: &Path) -> Result<Arc<OwnedFd>, UnpackError> {
        self.open(path.parent().unwrap_or(Path::new("")), true)
    }

    /// Removes what a second entry of the same name replaces. A directory is not replaced.
    pub(super) fn make_room(&mut self, path: &Path) -> Result<(), UnpackError> {
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
                "is a symbolic link out of the tree: link inside it, or make the link when the app starts".to_owned(),
            ));
        }
        let parent = self.parent(path)?;
        symlinkat(target, &*parent, name_of(path)).map_err(|error| failed(path, error))?;
        Ok(Entry::link(target))
    }

    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<Entry, LinkError> {
        let missing = || {
            LinkError::Refused(
                "is a hard link to what is no file of the archive before it".to_owned(),
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
            self.make_room(path)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(inside(b"./a//b/./c/"), Ok(PathBuf::from("a/b/c")));
        assert_eq!(inside(b"./"), Ok(PathBuf::new()));
        for bad in [&b""[..], b"/", b"/a", b"..", b"a/../b", b"a/..", b"a\0b"] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_stay_inside() {
        let stays =
            |path: &str, target: &str| link_stays_inside(Path::new(path), Path::new(target));
        assert!(stays("a", "b") && stays("d/a", "../b") && stays("d/e/a", "../../b"));
        assert!(
            !stays("a", "../b")
                && !stays("d/a", "../../b")
                && !stays("a", "/b")
                && !stays("d/a", "x/../../../b")
        );
        // If `d/l` is a link to `..`, this one would leave the tree.
        assert!(!stays("d/m", "l/.."));
    }
}
