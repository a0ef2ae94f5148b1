//! Changes to the directory, under its exclusive lock.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use repository_api::Digest;

use super::directory::{Tree, Trees};
use super::inventory::Inventory;
use super::slot::Slot;
use super::{lock, removal};
use crate::exit::{Exit, Failure};

/// A tree that is being unpacked. Removed unless it is put in place.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
}

impl Staging {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        removal::remove(&self.path);
    }
}

/// The directory, locked for changes.
#[derive(Debug)]
pub(crate) struct LockedTrees<'a> {
    trees: &'a Trees,
}

impl Drop for LockedTrees<'_> {
    fn drop(&mut self) {
        if let Ok(lock) = &self.trees.lock {
            // On failure, the lock ends with the descriptor.
            let _ = lock.unlock();
        }
    }
}

impl<'a> LockedTrees<'a> {
    /// Waits for the lock.
    pub(crate) fn wait(trees: &'a Trees, timeout: Duration) -> Result<Self, Failure> {
        let dir = &trees.dir;
        let lock = trees.lock.as_ref().map_err(|error| {
            let error = error
                .raw_os_error()
                .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            Failure::cannot_write(dir, error)
        })?;
        let deadline = Instant::now() + timeout;
        let mut logged = false;
        while !lock::acquired(lock.try_lock()).map_err(|error| Failure::cannot_write(dir, error))? {
            if Instant::now() >= deadline {
                return Err(Failure::new(
                    Exit::CannotWrite,
                    format!(
                        "timed out waiting for another bootstrap that fetches into {}: raise BOOTSTRAP_DEADLINE, or use another BOOTSTRAP_DIR",
                        dir.display()
                    ),
                ));
            }
            if !logged {
                logged = true;
                tracing::info!(
                    "waiting for another bootstrap that fetches into {}",
                    dir.display()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { trees })
    }

    /// Takes the lock if no other instance holds it.
    pub(crate) fn try_now(trees: &'a Trees) -> Option<Self> {
        let lock = trees.lock.as_ref().ok()?;
        lock::acquired(lock.try_lock())
            .unwrap_or(false)
            .then_some(Self { trees })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.trees.dir
    }

    /// Removes leftovers in staging and downloads of other artefacts. A failure is only a warning.
    pub(crate) fn sweep(&self, wanted: Option<Digest>) {
        let keep = wanted.map(|digest| self.download(Some(digest)));
        for entry in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_download =
                name.starts_with(".download-") && keep.as_ref() != Some(&entry.path());
            if name.starts_with(".staging-") || is_download {
                removal::remove(&entry.path());
            }
        }
    }

    /// The file of a download.
    pub(crate) fn download(&self, digest: Option<Digest>) -> PathBuf {
        let name = digest.map_or_else(|| "unverified".to_owned(), |digest| digest.to_string());
        self.dir().join(format!(".download-{name}"))
    }

    /// A free path in staging.
    pub(super) fn staging(&self) -> PathBuf {
        let random = RandomState::new().hash_one(std::process::id());
        self.dir().join(format!(".staging-{random:016x}"))
    }

    /// Creates an empty directory to unpack into.
    pub(crate) fn stage(&self) -> Result<Staging, Failure> {
        let path = self.staging();
        fs::create_dir(&path).map_err(|error| Failure::cannot_write(&path, error))?;
        Ok(Staging { path })
    }

    /// Puts a staged tree into the first slot that is not in use, and locks the slot.
    pub(crate) fn publish(
        &self,
        staging: &Staging,
        inventory: &Inventory,
        digest: Digest,
    ) -> Result<Tree, Failure> {
        let cannot = |error| Failure::cannot_write(self.dir(), error);
        let mut slot = Slot::first(digest);
        loop {
            let lock = lock::open(&slot.lock(self.dir())).map_err(cannot)?;
            let path = slot.tree(self.dir());
            if lock::acquired(lock.try_lock()).map_err(cannot)? {
                self.replace(&staging.path, inventory, slot)
                    .map_err(cannot)?;
                // Only a holder of the directory's lock takes an exclusive lock, so none comes between.
                let _ = lock.unlock();
                lock::acquired(lock.try_lock_shared()).map_err(cannot)?;
                let lock = Some(lock);
                return Ok(Tree { slot, path, lock });
            }
            tracing::warn!(
                "{} has changed and an app runs in it: the new tree goes beside it",
                path.display()
            );
            slot = slot.next();
        }
    }

    fn replace(&self, staging: &Path, inventory: &Inventory, slot: Slot) -> io::Result<()> {
        let tree = slot.tree(self.dir());
        let marker = slot.inventory(self.dir());
        if let Ok(earlier) = Inventory::read(&marker) {
            if let Err(change) = earlier.check(&tree) {
                tracing::warn!("{} is unpacked anew: {change}", tree.display());
            }
            fs::remove_file(&marker)?;
        }
        let replaced = self.staging();
        match fs::rename(&tree, &replaced) {
            Ok(()) => removal::remove(&replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::rename(staging, &tree)?;
        let written = self.staging();
        inventory.write(&written)?;
        fs::rename(&written, &marker)
    }
}
