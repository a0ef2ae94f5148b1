//! Directories, and whether what is in them is durable.
//!
//! A name is durable when its directory was synced, and the directory's own name when the one above
//! it was. What an earlier process made and did not sync counts as not durable until this one has
//! synced it; so does everything after a sync that failed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    settled: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            settled: Mutex::default(),
        }
    }

    fn settled(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all names in it are durable, but for those that are being made.
    pub(super) fn is_settled(&self, directory: &Path) -> bool {
        self.settled().contains(directory)
    }

    /// Makes the directory and those above it as far as they are missing, and what they hold durable.
    pub(super) fn prepare(&self, directory: &Path) -> io::Result<()> {
        if self.is_settled(directory) {
            return Ok(());
        }
        fs::create_dir_all(directory)?;
        // From the top down: a settled one has settled ones above it.
        let mut unsettled: Vec<&Path> = directory
            .ancestors()
            .take_while(|path| path.starts_with(&self.root))
            .filter(|path| !self.is_settled(path))
            .collect();
        // The root's own name.
        if unsettled.last() == Some(&self.root.as_path()) {
            unsettled.extend(self.root.parent());
        }
        for directory in unsettled.into_iter().rev() {
            self.sync(directory)?;
        }
        Ok(())
    }

    /// Makes what the directory holds durable.
    pub(super) fn sync(&self, directory: &Path) -> io::Result<()> {
        let synced = File::open(directory).and_then(|handle| handle.sync_all());
        match synced {
            Ok(()) => {
                self.settled().insert(directory.to_owned());
                Ok(())
            }
            Err(error) => {
                self.settled().remove(directory);
                Err(error)
            }
        }
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
        assert!(directories.sync(&root.path().join("missing")).is_err());
        fs::remove_dir(&deep).unwrap();
        assert!(directories.sync(&deep).is_err());
        assert!(!directories.is_settled(&deep));
    }
}
