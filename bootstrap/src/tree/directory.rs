//! The directory of the trees, and the search for a tree that can be reused.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use repository_api::Digest;

use super::inventory::Inventory;
use super::slot::Slot;
use super::{lock, untouched};
use crate::exit::Failure;

#[derive(Debug)]
pub(crate) struct Trees {
    pub(super) dir: PathBuf,
    /// The error if the directory cannot be written to: its complete trees can still be reused.
    pub(super) lock: Result<File, io::Error>,
}

/// Conditions for the reuse of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands<'a> {
    pub(crate) digest: Digest,
    /// The name of an artefact that is not an archive: the same bytes can be published under several
    /// names.
    pub(crate) file: Option<&'a str>,
    pub(crate) readers: Option<Gid>,
    /// A user who must not have been able to write to the tree.
    pub(crate) untouched_by: Option<Uid>,
}

/// A complete tree, and the shared lock that protects it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) slot: Slot,
    pub(crate) path: PathBuf,
    pub(crate) lock: Option<File>,
}

impl Tree {
    /// The digest of the tree's artefact.
    pub(crate) fn digest(&self) -> Digest {
        self.slot.digest
    }
}

/// Creates a directory that every user can enter, whatever the umask.
fn create(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

impl Trees {
    /// Opens `dir`, and creates it if it is missing. With `for_root`, an empty directory becomes root's:
    /// the trees are root's then, and the app only reads them.
    pub(crate) fn open(dir: &Path, for_root: bool) -> Result<Self, Failure> {
        let created = create(dir);
        if for_root && fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none()) {
            std::os::unix::fs::chown(dir, Some(0), Some(0))
                .map_err(|error| Failure::cannot_write(dir, error))?;
        }
        let lock = created.and_then(|()| lock::open(&dir.join(".lock")));
        match (fs::canonicalize(dir), lock) {
            (Ok(dir), lock) => Ok(Self { dir, lock }),
            (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(Failure::cannot_write(dir, error)),
        }
    }

    /// Finds a complete and unchanged tree, and locks it. A retired tree leaves a gap in the numbers of the slots.
    pub(crate) fn find(&self, demands: &Demands<'_>) -> Option<Tree> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut slots: Vec<_> = entries
            .filter_map(|entry| Slot::of_inventory(entry.file_name().to_str()?))
            .filter(|slot| slot.digest == demands.digest)
            .collect();
        slots.sort_by_key(|slot| slot.number);
        slots.into_iter().find_map(|slot| self.reuse(slot, demands))
    }

    fn reuse(&self, slot: Slot, demands: &Demands<'_>) -> Option<Tree> {
        let path = slot.tree(&self.dir);
        let marker = slot.inventory(&self.dir);
        // The lock comes first: no other instance can replace or retire the tree after the check.
        let lock = lock::open(&slot.lock(&self.dir)).ok();
        if let Some(lock) = &lock {
            let acquired = lock::acquired(lock.try_lock_shared()).unwrap_or(true);
            // A retired tree takes its lock file along.
            let retired = lock.metadata().is_ok_and(|found| found.nlink() == 0);
            if !acquired || retired {
                return None;
            }
        }
        let inventory = Inventory::read(&marker).ok()?;
        if !inventory.is_for(demands.readers)
            || demands.file.is_some_and(|file| !inventory.contains(file))
        {
            return None;
        }
        if let Some(user) = demands.untouched_by
            && !self.is_untouched(&path, &marker, user)
        {
            tracing::info!(
                "{} is unpacked anew: the app could have written to it, and BOOTSTRAP_TRUSTED_KEYS_FILE trusts only signed content",
                path.display()
            );
            return None;
        }
        inventory
            .check(&path)
            .is_ok()
            .then_some(Tree { slot, path, lock })
    }

    fn is_untouched(&self, tree: &Path, marker: &Path, user: Uid) -> bool {
        untouched::at(&self.dir, user)
            && untouched::at(marker, user)
            && untouched::below(tree, user).unwrap_or(false)
    }
}
