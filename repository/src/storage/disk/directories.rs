//! Directories, and whether what is in them is durable.
//!
//! A name is durable when its directory was synced, and the directory's own name when the one above
//! it was. What an earlier process made and did not sync counts as not durable until this one has
//! synced it; so does everything after a sync that failed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    known: Mutex<HashMap<PathBuf, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether what it held was synced, and no sync failed since then.
    is_synced: bool,
    /// Names that are taken just now, and can be seen before they are durable.
    being_made: usize,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_synced(&self, directory: &Path) -> bool {
        self.known()
            .get(directory)
            .is_some_and(|known| known.is_synced)
    }

    /// Whether all names that can be seen in it are durable.
    pub(super) fn is_settled(&self, directory: &Path) -> bool {
        self.known()
            .get(directory)
            .is_some_and(|known| known.is_synced && known.being_made == 0)
    }

    /// Makes durable whatever can be seen in it.
    pub(super) fn settle(&self, directory: &Path) -> io::Result<()> {
        self.prepare(directory)?;
        if self.is_settled(directory) {
            return Ok(());
        }
        self.sync(directory)
    }

    /// Makes the directory and those above it as far as they are missing, and what they held durable.
    pub(super) fn prepare(&self, directory: &Path) -> io::Result<()> {
        if self.is_synced(directory) {
            return Ok(());
        }
        fs::create_dir_all(directory)?;
        // From the top down: a synced one has synced ones above it.
        let mut unsynced: Vec<&Path> = directory
            .ancestors()
            .take_while(|path| path.starts_with(&self.root))
            .filter(|path| !self.is_synced(path))
            .collect();
        // The root's own name.
        if unsynced.last() == Some(&self.root.as_path()) {
            unsynced.extend(self.root.parent());
        }
        for directory in unsynced.into_iter().rev() {
            self.sync(directory)?;
        }
        Ok(())
    }

    /// Takes a new name in a directory, by `take`, and makes it durable; `false` if `take` says that it is taken.
    pub(super) fn add(
        &self,
        directory: &Path,
        take: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<bool> {
        let count = |change: fn(&mut usize)| {
            change(
                &mut self
                    .known()
                    .entry(directory.to_owned())
                    .or_default()
                    .being_made,
            );
        };
        count(|being_made| *being_made += 1);
        let added = take().and_then(|is_taken| {
            if is_taken {
                self.sync(directory)?;
            }
            Ok(is_taken)
        });
        count(|being_made| *being_made -= 1);
        added
    }

    /// Makes what the directory holds durable.
    pub(super) fn sync(&self, directory: &Path) -> io::Result<()> {
        let synced = File::open(directory).and_then(|handle| handle.sync_all());
        let mut known = self.known();
        known.entry(directory.to_owned()).or_default().is_synced = synced.is_ok();
        synced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_settled_with_all_above_it() {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::new(root.path().to_owned());
        let deep = root.path().join("a/b/c");
        directories.prepare(&deep).unwrap();
        for path in [root.path(), &root.path().join("a"), &deep] {
            assert!(directories.is_settled(path), "{}", path.display());
        }
        let made = directories.add(&deep, || {
            assert!(!directories.is_settled(&deep), "it is not durable yet");
            directories.settle(&deep)?;
            Ok(true)
        });
        assert!(made.unwrap() && directories.is_settled(&deep));
        assert!(directories.sync(&root.path().join("missing")).is_err());
        fs::remove_dir(&deep).unwrap();
        assert!(directories.sync(&deep).is_err());
        assert!(!directories.is_settled(&deep));
    }
}
