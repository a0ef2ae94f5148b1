//! Creates directories, and records which are durable.
//!
//! A name is durable when its directory was synced, and the directory's own name when its parent was.
//! This process trusts only its own syncs: it syncs existing directories, too, and again after a failed sync.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    states: Mutex<HashMap<PathBuf, State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether this process synced it, and no sync failed since then.
    is_synced: bool,
    /// Names being added. They can be seen before they are durable.
    pending: usize,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            states: Mutex::default(),
        }
    }

    fn states(&self) -> MutexGuard<'_, HashMap<PathBuf, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_synced(&self, directory: &Path) -> bool {
        self.states()
            .get(directory)
            .is_some_and(|state| state.is_synced)
    }

    /// Whether every name that can be seen in the directory is durable.
    pub(super) fn is_durable(&self, directory: &Path) -> bool {
        self.states()
            .get(directory)
            .is_some_and(|state| state.is_synced && state.pending == 0)
    }

    /// Makes every name that can be seen in the directory durable.
    pub(super) fn make_durable(&self, directory: &Path) -> io::Result<()> {
        self.prepare(directory)?;
        if self.is_durable(directory) {
            return Ok(());
        }
        self.sync(directory)
    }

    /// Creates the directory and its parents, and makes what they hold durable.
    pub(super) fn prepare(&self, directory: &Path) -> io::Result<()> {
        if self.is_synced(directory) {
            return Ok(());
        }
        fs::create_dir_all(directory)?;
        // From the top down, so that the parents of a synced directory are synced.
        let mut unsynced: Vec<&Path> = directory
            .ancestors()
            .take_while(|path| path.starts_with(&self.root))
            .filter(|path| !self.is_synced(path))
            .collect();
        // The parent holds the name of the root.
        if unsynced.last() == Some(&self.root.as_path()) {
            unsynced.extend(self.root.parent());
        }
        for directory in unsynced.into_iter().rev() {
            self.sync(directory)?;
        }
        Ok(())
    }

    /// Adds a name to the directory by calling `create`, and makes it durable. Returns `false` if `create`
    /// does, because the name exists.
    pub(super) fn add(
        &self,
        directory: &Path,
        create: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<bool> {
        let count = |change: fn(&mut usize)| {
            change(
                &mut self
                    .states()
                    .entry(directory.to_owned())
                    .or_default()
                    .pending,
            );
        };
        count(|pending| *pending += 1);
        let created = create().and_then(|is_new| {
            if is_new {
                self.sync(directory)?;
            }
            Ok(is_new)
        });
        count(|pending| *pending -= 1);
        created
    }

    pub(super) fn sync(&self, directory: &Path) -> io::Result<()> {
        let synced = File::open(directory).and_then(|handle| handle.sync_all());
        let mut states = self.states();
        states.entry(directory.to_owned()).or_default().is_synced = synced.is_ok();
        synced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_durable_with_its_parents() {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::new(root.path().to_owned());
        let deep = root.path().join("a/b/c");
        directories.prepare(&deep).unwrap();
        for path in [root.path(), &root.path().join("a"), &deep] {
            assert!(directories.is_durable(path), "{}", path.display());
        }
        let added = directories.add(&deep, || {
            assert!(!directories.is_durable(&deep), "a name is pending");
            directories.make_durable(&deep)?;
            Ok(true)
        });
        assert!(added.unwrap() && directories.is_durable(&deep));
        assert!(directories.sync(&root.path().join("missing")).is_err());
        fs::remove_dir(&deep).unwrap();
        assert!(directories.sync(&deep).is_err());
        assert!(!directories.is_durable(&deep));
    }
}
