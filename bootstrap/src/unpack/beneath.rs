//! Writing beneath a directory handle, and nowhere else.
//!
//! Every directory on the way is opened from its parent's handle without following a link:
//! `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`, or, where a kernel or a seccomp filter
//! does not know it, component by component with `O_NOFOLLOW`. The last component is created with
//! `O_EXCL`. So nothing that an archive made before is ever followed, and modes and times are set
//! through handles of what was just made.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::UnpackError;

/// Bytes of a path at the most: with the directory before it, it must stay below the kernel's
/// `PATH_MAX` of 4096.
const MAX_PATH: usize = 3072;

/// Directories in one another at the most.
const MAX_DEPTH: usize = 128;

const BUFFER: usize = 128 << 10;

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
    root: OwnedFd,
    /// The directory that was used last: most entries follow their neighbours.
    last: Option<(PathBuf, OwnedFd)>,
    has_openat2: bool,
    /// Directories that no entry named, but whose paths led through them.
    made: u64,
    buffer: Vec<u8>,
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

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Beneath {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self {
            root,
            last: None,
            has_openat2: true,
            made: 0,
            buffer: vec![0; BUFFER],
        }
    }

    /// Directories that were made and that no entry named.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// Makes the directory and those above it, as far as they are missing.
    pub(super) fn directory(&mut self, path: &Path) -> Result<(), UnpackError> {
        let before = self.made;
        let opened = self.open_or_make(path)?;
        // The last one has an entry of its own.
        if self.made > before {
            self.made -= 1;
        }
        self.last = Some((path.to_owned(), opened));
        Ok(())
    }

    fn open_existing(&mut self, path: &Path) -> nix::Result<OwnedFd> {
        if path.as_os_str().is_empty() {
            return openat(&self.root, ".", DIRECTORY, Mode::empty());
        }
        if self.has_openat2 {
            let how = OpenHow::new().flags(DIRECTORY).resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS,
            );
            match openat2(&self.root, path, how) {
                // EPERM is how a seccomp filter that does not know the call says so.
                Err(Errno::ENOSYS | Errno::EPERM) => self.has_openat2 = false,
                outcome => return outcome,
            }
        }
        let mut at: Option<OwnedFd> = None;
        for name in path.components() {
            at = Some(openat(
                at.as_ref().unwrap_or(&self.root),
                name.as_os_str(),
                DIRECTORY,
                Mode::empty(),
            )?);
        }
        at.map_or_else(|| openat(&self.root, ".", DIRECTORY, Mode::empty()), Ok)
    }

    fn open_or_make(&mut self, path: &Path) -> Result<OwnedFd, UnpackError> {
        match self.open_existing(path) {
            Err(Errno::ENOENT) => {}
            outcome => return outcome.map_err(|error| failed(path, error)),
        }
        let mut at = openat(&self.root, ".", DIRECTORY, Mode::empty())
            .map_err(|error| failed(path, error))?;
        for name in path.components() {
            match mkdirat(&at, name.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) => self.made += 1,
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(failed(path, error)),
            }
            at = openat(&at, name.as_os_str(), DIRECTORY, Mode::empty())
                .map_err(|error| failed(path, error))?;
        }
        Ok(at)
    }

    /// The handle of the directory that holds `path`, and the name in it.
    fn parent<'a>(&mut self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), UnpackError> {
        let name = path
            .file_name()
            .ok_or_else(|| failed(path, Errno::EINVAL))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let known = self.last.as_ref().is_some_and(|(last, _)| last == parent);
        if !known {
            let opened = self.open_or_make(parent)?;
            self.last = Some((parent.to_owned(), opened));
        }
        let handle = match &self.last {
            Some((_, handle)) => handle.try_clone(),
            None => self.root.try_clone(),
        };
        let handle = handle.map_err(|source| UnpackError::Write {
            path: path.display().to_string(),
            source,
        })?;
        Ok((handle, name))
    }

    /// Removes what a second entry of the same name replaces. A directory is not replaced.
    fn make_room(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), UnpackError> {
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => Err(UnpackError::refused(format!(
                "{:?} is there twice, once as a directory",
                path.display().to_string()
            ))),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Makes a file with the content, mode and time of modification given; returns its bytes.
    pub(super) fn file(
        &mut self,
        path: &Path,
        mode: u32,
        mtime: Option<i64>,
        content: &mut impl Read,
    ) -> Result<u64, UnpackError> {
        let (parent, name) = self.parent(path)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let private = Mode::from_bits_truncate(0o600);
        let opened = match openat(&parent, name, flags, private) {
            Err(Errno::EEXIST) => {
                Self::make_room(&parent, name, path)?;
                openat(&parent, name, flags, private)
            }
            outcome => outcome,
        };
        let mut file = File::from(opened.map_err(|error| failed(path, error))?);
        let mut bytes = 0;
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(UnpackError::Damaged {
                        format: "archive",
                        source,
                    });
                }
            };
            file.write_all(&self.buffer[..read])
                .map_err(|source| UnpackError::Write {
                    path: path.display().to_string(),
                    source,
                })?;
            bytes += read as u64;
        }
        fchmod(file.as_fd(), Mode::from_bits_truncate(mode))
            .map_err(|error| failed(path, error))?;
        if let Some(seconds) = mtime {
            let time = TimeSpec::new(seconds, 0);
            futimens(file.as_fd(), &time, &time).map_err(|error| failed(path, error))?;
        }
        Ok(bytes)
    }

    pub(super) fn symlink(&mut self, path: &Path, target: &[u8]) -> Result<(), LinkError> {
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
        let (parent, name) = self.parent(path)?;
        let outcome = match symlinkat(target, &parent, name) {
            Err(Errno::EEXIST) => {
                Self::make_room(&parent, name, path)?;
                symlinkat(target, &parent, name)
            }
            outcome => outcome,
        };
        Ok(outcome.map_err(|error| failed(path, error))?)
    }

    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), LinkError> {
        let missing = || {
            LinkError::Refused(
                "is a hard link to what is no file of the archive before it".to_owned(),
            )
        };
        let holder = target.parent().unwrap_or(Path::new(""));
        let target_name = target.file_name().ok_or_else(missing)?;
        let holder = self.open_existing(holder).map_err(|_| missing())?;
        let status: FileStat =
            fstatat(&holder, target_name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|_| missing())?;
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(missing());
        }
        let (parent, name) = self.parent(path)?;
        let outcome = match linkat(&holder, target_name, &parent, name, AtFlags::empty()) {
            Err(Errno::EEXIST) if path == target => Ok(()),
            Err(Errno::EEXIST) => {
                Self::make_room(&parent, name, path)?;
                linkat(&holder, target_name, &parent, name, AtFlags::empty())
            }
            outcome => outcome,
        };
        Ok(outcome.map_err(|error| failed(path, error))?)
    }

    pub(super) fn set_directory_mode(&mut self, path: &Path, mode: u32) -> Result<(), UnpackError> {
        let handle = self
            .open_existing(path)
            .map_err(|error| failed(path, error))?;
        fchmod(&handle, Mode::from_bits_truncate(mode)).map_err(|error| failed(path, error))
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
