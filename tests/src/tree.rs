//! Snapshots of directory trees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Entry {
    /// `d`, `f`, `l`, or `?` for another kind.
    pub kind: char,
    pub mode: u32,
    pub mtime: i64,
    pub content: Vec<u8>,
}

/// Returns everything below a directory, by relative path.
pub fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = if metadata.is_dir() {
            pending.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            ('d', Vec::new())
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            ('l', target.as_os_str().as_bytes().to_vec())
        } else if metadata.is_file() {
            ('f', fs::read(&path).unwrap())
        } else {
            ('?', Vec::new())
        };
        let entry = Entry {
            kind,
            mode: metadata.mode(),
            mtime: metadata.mtime(),
            content,
        };
        found.insert(path.strip_prefix(directory).unwrap().to_owned(), entry);
    }
    found
}
