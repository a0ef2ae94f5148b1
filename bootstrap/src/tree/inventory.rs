//! What a tree holds: each file with size, mode and time of modification, each link with its target.
//! A tree whose files are as they were unpacked is used again; files that the app added are left alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The layout of the file; another one is not read.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inventory {
    format: u32,
    /// By path, whose bytes need not be UTF-8.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    File {
        size: u64,
        mode: u32,
        mtime: i64,
        nanoseconds: i64,
    },
    Link {
        target: String,
    },
}

/// The first difference that was found.
#[derive(Debug, thiserror::Error)]
pub(super) enum Change {
    #[error("{0:?} has changed")]
    Changed(PathBuf),
    #[error("{0:?} is missing")]
    Missing(PathBuf),
}

impl Inventory {
    pub(super) fn of(tree: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            for found in fs::read_dir(tree.join(&directory))? {
                let found = found?;
                let path = directory.join(found.file_name());
                if found.file_type()?.is_dir() {
                    directories.push(path);
                } else {
                    entries.insert(
                        encode(path.as_os_str().as_bytes()),
                        Entry::of(&tree.join(&path))?,
                    );
                }
            }
        }
        Ok(Self {
            format: FORMAT,
            entries,
        })
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let inventory: Self = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
        if inventory.format == FORMAT {
            Ok(inventory)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// Whether a file of that name is in the tree.
    pub(super) fn names(&self, file: &str) -> bool {
        self.entries.contains_key(&encode(file.as_bytes()))
    }

    pub(super) fn check(&self, tree: &Path) -> Result<(), Change> {
        if !tree.is_dir() {
            return Err(Change::Missing(tree.to_owned()));
        }
        for (path, expected) in &self.entries {
            let path = tree.join(decode(path));
            match Entry::of(&path) {
                Ok(found) if found == *expected => {}
                Ok(_) => return Err(Change::Changed(path)),
                Err(_) => return Err(Change::Missing(path)),
            }
        }
        Ok(())
    }
}

impl Entry {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        if found.is_symlink() {
            let target = fs::read_link(path)?;
            return Ok(Self::Link {
                target: encode(target.as_os_str().as_bytes()),
            });
        }
        Ok(Self::File {
            size: found.size(),
            mode: found.mode(),
            mtime: found.mtime(),
            nanoseconds: found.mtime_nsec(),
        })
    }
}

/// Bytes as text: what is no UTF-8, and the escape itself, as `\xx`.
fn encode(bytes: &[u8]) -> String {
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
        let inventory = Inventory::of(&tree).unwrap();
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
