//! What lies below a directory, to be compared with what lay there before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Seen {
    /// `d`, `f`, `l`, or `?` for what is none of them.
    pub kind: char,
    pub mode: u32,
    pub mtime: i64,
    pub content: Vec<u8>,
}

/// Everything below a directory, by its path.
pub fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = if metadata.is_dir() {
            open.extend(
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
        let seen = Seen {
            kind,
            mode: metadata.mode(),
            mtime: metadata.mtime(),
            content,
        };
        found.insert(path.strip_prefix(directory).unwrap().to_owned(), seen);
    }
    found
}
