//! The inventory of a tree: each file with size, mode and time of modification, each link with its target.
//! A tree can be reused while its files match the inventory. Files that the app added do not count.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, open, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::Gid;
use serde::{Deserialize, Serialize};

/// The version of the file's format. Files of other versions are not read.
const FORMAT: u32 = 3;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Inventory {
    format: u32,
    /// The group that may read the tree, unless the app owns the tree.
    readers: Option<u32>,
    /// In the order of unpacking, so that a check opens a directory once for neighbouring files.
    directories: Vec<Directory>,
}

/// A directory and its entries by name. Names need not be UTF-8: see [`encode`].
#[derive(Debug, Serialize, Deserialize)]
struct Directory(String, Vec<(String, Entry)>);

/// A file or a link, as a status call shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Size, mode, time of modification in seconds and nanoseconds.
    #[serde(rename = "f")]
    File(i64, u32, i64, i64),
    /// The target.
    #[serde(rename = "l")]
    Link(String),
}

/// The first difference between a tree and its inventory.
#[derive(Debug, thiserror::Error)]
pub(super) enum Change {
    #[error("{0:?} has changed")]
    Changed(PathBuf),
    #[error("{0:?} is missing")]
    Missing(PathBuf),
}

impl Inventory {
    /// The paths must be unique.
    pub(crate) fn of(
        entries: impl IntoIterator<Item = (PathBuf, Entry)>,
        readers: Option<Gid>,
    ) -> Self {
        let mut directories: Vec<Directory> = Vec::new();
        let mut last: Vec<u8> = Vec::new();
        for (path, entry) in entries {
            let path = path.as_os_str().as_bytes();
            let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => (&path[..slash], &path[slash + 1..]),
                None => (&path[..0], path),
            };
            let found = (encode(name), entry);
            match directories.last_mut() {
                Some(Directory(_, entries)) if last == directory => entries.push(found),
                _ => {
                    directories.push(Directory(encode(directory), vec![found]));
                    directory.clone_into(&mut last);
                }
            }
        }
        Self {
            format: FORMAT,
            readers: readers.map(Gid::as_raw),
            directories,
        }
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut file = fs::File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let inventory: Self = serde_json::from_slice(&text).map_err(io::Error::other)?;
        if inventory.format == FORMAT {
            Ok(inventory)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// Whether the tree was unpacked for these readers.
    pub(super) fn is_for(&self, readers: Option<Gid>) -> bool {
        self.readers == readers.map(Gid::as_raw)
    }

    /// Whether the tree has a file of this name at its top.
    pub(super) fn contains(&self, file: &str) -> bool {
        let file = encode(file.as_bytes());
        self.directories
            .iter()
            .any(|Directory(directory, entries)| {
                directory.is_empty() && entries.iter().any(|(name, _)| *name == file)
            })
    }

    pub(super) fn check(&self, tree: &Path) -> Result<(), Change> {
        if !tree.is_dir() {
            return Err(Change::Missing(tree.to_owned()));
        }
        for Directory(directory, entries) in &self.directories {
            let directory = tree.join(decode(directory));
            let Ok(handle) = open(
                &directory,
                OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
                Mode::empty(),
            ) else {
                return Err(Change::Missing(directory));
            };
            for (name, expected) in entries {
                let name = decode(name);
                let changed = || directory.join(&name);
                let status = fstatat(&handle, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                    .map_err(|_| Change::Missing(changed()))?;
                let found = if is_link(&status) {
                    readlinkat(&handle, name.as_os_str()).map(|target| Entry::link(target.as_ref()))
                } else {
                    Ok(Entry::file(&status))
                };
                if found.as_ref() != Ok(expected) {
                    return Err(Change::Changed(changed()));
                }
            }
        }
        Ok(())
    }
}

fn is_link(status: &FileStat) -> bool {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK
}

impl Entry {
    pub(crate) fn file(status: &FileStat) -> Self {
        Self::File(
            status.st_size,
            status.st_mode,
            status.st_mtime,
            status.st_mtime_nsec,
        )
    }

    pub(crate) fn link(target: &Path) -> Self {
        Self::Link(encode(target.as_os_str().as_bytes()))
    }
}

/// Bytes as text. Bytes that are not UTF-8, and backslashes, become `\xx`.
fn encode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\\') => return text.to_owned(),
        _ => {}
    }
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\5c"));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\{byte:02x}");
        }
    }
    text
}

fn decode(text: &str) -> OsString {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (b'\\', Some(byte)) = (first, escaped) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_name_round_trips(bytes in proptest::collection::vec(1..=255_u8, 0..20)) {
            prop_assert_eq!(decode(&encode(&bytes)).into_vec(), bytes);
        }
    }

    #[test]
    fn changes_are_found_and_additions_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        fs::create_dir_all(tree.join("d")).unwrap();
        fs::write(tree.join("d/f"), "one").unwrap();
        symlink("d/f", tree.join("l")).unwrap();
        let status = nix::sys::stat::lstat(&tree.join("d/f")).unwrap();
        let entries = [
            (PathBuf::from("d/f"), Entry::file(&status)),
            (PathBuf::from("l"), Entry::link(Path::new("d/f"))),
        ];
        let inventory = Inventory::of(entries, None);
        let marker = directory.path().join("inventory");
        inventory.write(&marker).unwrap();
        let inventory = Inventory::read(&marker).unwrap();
        assert!(inventory.check(&tree).is_ok());
        fs::write(tree.join("d/added"), "by the app").unwrap();
        assert!(inventory.check(&tree).is_ok());
        fs::set_permissions(tree.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(inventory.check(&tree), Err(Change::Changed(_))));
        fs::remove_file(tree.join("l")).unwrap();
        assert!(inventory.check(&tree).is_err());
    }
}
