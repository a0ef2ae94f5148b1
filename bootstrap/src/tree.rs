//! The directory where apps are unpacked.
//!
//! ```text
//! DIR/.lock                  held while something is fetched or unpacked, so that several may share DIR
//! DIR/.download-{digest}     a download; one that was cut short goes on at the next start
//! DIR/.staging-…             a tree that is being unpacked; swept at the next start
//! DIR/{digest}/              an app's tree, under the digest of its artefact
//! DIR/.inventory-{digest}    what the tree holds: only with it a tree is complete
//! DIR/.lock-{digest}         held, shared, by whoever runs in the tree
//! DIR/.release-{digest}      the release that was started last, kept for a start without the repository
//! ```
//!
//! Staging lies inside `DIR`, so that the rename stays on one file system whatever is mounted there.
//! A tree that was changed is unpacked anew in its place; while an app runs in it, beside it as
//! `{digest}.1`, so that nobody loses the ground under their feet.

mod inventory;
mod removal;
mod untouched;

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid};
use repository_api::Digest;

use crate::exit::{Exit, Failure};
pub(crate) use inventory::{Entry, Inventory};

/// Trees of one artefact at the most: each but the last has changed, and an app runs in it.
const SLOTS: u32 = 256;

#[derive(Debug)]
pub(crate) struct Trees {
    dir: PathBuf,
    /// Why nothing can be written, if so: a tree that is there can still be used.
    lock: Result<File, io::Error>,
}

/// What a tree must be to be used again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands<'a> {
    pub(crate) digest: Digest,
    /// The name of an artefact that is no archive: the same bytes may have been published under
    /// several.
    pub(crate) file: Option<&'a str>,
    pub(crate) readers: Option<Gid>,
    /// Who must not have been able to write to it.
    pub(crate) untouched_by: Option<Uid>,
}

/// A complete tree, and the lock that keeps it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    pub(crate) lock: Option<File>,
}

/// A tree that is being unpacked. Removed where it does not get into place.
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

/// The right to change what lies in the directory.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    trees: &'a Trees,
}

/// Neither a link, which could lead elsewhere, nor a pipe, which would be waited for.
fn open_lock(path: &Path) -> io::Result<File> {
    let open = |write: bool| {
        let mut options = File::options();
        options.read(true).write(write).create(write);
        options
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    // Another user's: a lock needs no right to write.
    let file = open(true).or_else(|error| open(false).map_err(|_| error))?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// For everybody to enter, whatever the umask says.
fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

/// Whether a lock was taken. Where locks are not supported there is nobody to share with either.
fn taken(outcome: Result<(), TryLockError>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Trees {
    /// Opens `dir`, making it where it is missing. Where the trees are to be root's and the app's to read
    /// only, an empty directory becomes root's, too.
    pub(crate) fn open(dir: &Path, is_roots: bool) -> Result<Self, Failure> {
        let made = make(dir);
        if is_roots && fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none()) {
            std::os::unix::fs::chown(dir, Some(0), Some(0))
                .map_err(|error| Failure::cannot_write(dir, error))?;
        }
        let lock = made.and_then(|()| open_lock(&dir.join(".lock")));
        match (fs::canonicalize(dir), lock) {
            (Ok(dir), lock) => Ok(Self { dir, lock }),
            (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(Failure::cannot_write(dir, error)),
        }
    }

    fn slot(digest: Digest, number: u32) -> String {
        if number == 0 {
            digest.to_string()
        } else {
            format!("{digest}.{number}")
        }
    }

    fn inventory(&self, slot: &str) -> PathBuf {
        self.dir.join(format!(".inventory-{slot}"))
    }

    /// A tree that is complete and untouched, if there is one.
    pub(crate) fn warm(&self, demands: &Demands<'_>) -> Option<Tree> {
        (0..SLOTS).find_map(|number| {
            let slot = Self::slot(demands.digest, number);
            let path = self.dir.join(&slot);
            let marker = self.inventory(&slot);
            if !marker.exists() {
                return None;
            }
            // First the lock: nobody replaces the tree between the check and the start.
            let lock = open_lock(&self.dir.join(format!(".lock-{slot}"))).ok();
            if let Some(lock) = &lock
                && !taken(lock.try_lock_shared()).unwrap_or(true)
            {
                return None;
            }
            let inventory = Inventory::read(&marker).ok()?;
            if !inventory.is_for(demands.readers)
                || demands.file.is_some_and(|file| !inventory.names(file))
            {
                return None;
            }
            if let Some(user) = demands.untouched_by
                && !self.is_untouched(&path, &marker, user)
            {
                tracing::info!(
                    "{} is unpacked anew: the app could have written to it, and BOOTSTRAP_TRUSTED_KEYS_FILE trusts nobody but the signers",
                    path.display()
                );
                return None;
            }
            inventory
                .check(&path)
                .is_ok()
                .then_some(Tree { path, lock })
        })
    }

    fn is_untouched(&self, tree: &Path, marker: &Path, user: Uid) -> bool {
        untouched::at(&self.dir, user)
            && untouched::at(marker, user)
            && untouched::below(tree, user).unwrap_or(false)
    }

    /// Waits for the lock.
    pub(crate) fn lock(&self, patience: Duration) -> Result<Locked<'_>, Failure> {
        let lock = self.lock.as_ref().map_err(|error| {
            let error = error
                .raw_os_error()
                .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            Failure::cannot_write(&self.dir, error)
        })?;
        let deadline = Instant::now() + patience;
        let mut told = false;
        while !taken(lock.try_lock()).map_err(|error| Failure::cannot_write(&self.dir, error))? {
            if Instant::now() >= deadline {
                return Err(Failure::new(
                    Exit::CannotWrite,
                    format!(
                        "another bootstrap holds the lock in {} and fetches into the same directory: give it time with BOOTSTRAP_DEADLINE, or another BOOTSTRAP_DIR",
                        self.dir.display()
                    ),
                ));
            }
            if !told {
                told = true;
                tracing::info!(
                    "waiting for another bootstrap that fetches into {}",
                    self.dir.display()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Locked { trees: self })
    }

    /// Sweeps if nobody else is at work.
    pub(crate) fn sweep_if_free(&self, wanted: Digest) {
        if self
            .lock
            .as_ref()
            .is_ok_and(|lock| taken(lock.try_lock()).unwrap_or(false))
        {
            Locked { trees: self }.sweep(Some(wanted));
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Ok(lock) = &self.trees.lock {
            // Goes with the descriptor at the latest.
            let _ = lock.unlock();
        }
    }
}

impl Locked<'_> {
    /// Removes what an earlier start left in staging, and downloads of other artefacts. What cannot
    /// be removed is told, and is nobody's obstacle.
    pub(crate) fn sweep(&self, wanted: Option<Digest>) {
        let keep = wanted.map(|digest| self.download(Some(digest)));
        for entry in fs::read_dir(&self.trees.dir)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_download =
                name.starts_with(".download-") && keep.as_ref() != Some(&entry.path());
            if name.starts_with(".staging-") || is_download {
                removal::remove(&entry.path());
            }
        }
    }

    pub(crate) fn download(&self, digest: Option<Digest>) -> PathBuf {
        let name = digest.map_or_else(|| "unverified".to_owned(), |digest| digest.to_string());
        self.trees.dir.join(format!(".download-{name}"))
    }

    fn staging(&self) -> PathBuf {
        // Of no interest to anybody but it must not meet what an earlier start left.
        let random = RandomState::new().hash_one(std::process::id());
        self.trees.dir.join(format!(".staging-{random:016x}"))
    }

    /// An empty directory to unpack into.
    pub(crate) fn stage(&self) -> Result<Staging, Failure> {
        let path = self.staging();
        fs::create_dir(&path).map_err(|error| Failure::cannot_write(&path, error))?;
        Ok(Staging { path })
    }

    /// Puts a staged tree in its place; from then on it is complete.
    pub(crate) fn publish(
        &self,
        staging: &Staging,
        inventory: &Inventory,
        digest: Digest,
    ) -> Result<Tree, Failure> {
        let cannot = |error| Failure::cannot_write(&self.trees.dir, error);
        for number in 0..SLOTS {
            let slot = Trees::slot(digest, number);
            let lock = open_lock(&self.trees.dir.join(format!(".lock-{slot}"))).map_err(cannot)?;
            let path = self.trees.dir.join(&slot);
            if taken(lock.try_lock()).map_err(cannot)? {
                self.replace(&staging.path, inventory, &slot)
                    .map_err(cannot)?;
                // Nobody takes the exclusive lock meanwhile: that needs the lock that is held here.
                let _ = lock.unlock();
                taken(lock.try_lock_shared()).map_err(cannot)?;
                return Ok(Tree {
                    path,
                    lock: Some(lock),
                });
            }
            tracing::warn!(
                "{} cannot be used again, and an app runs in it: it is left alone",
                path.display()
            );
        }
        Err(Failure::new(
            Exit::CannotWrite,
            format!(
                "{SLOTS} trees of this artefact are in use in {}, and each has changed: let apps write elsewhere, or give each its own BOOTSTRAP_DIR",
                self.trees.dir.display()
            ),
        ))
    }

    fn replace(&self, staging: &Path, inventory: &Inventory, slot: &str) -> io::Result<()> {
        let tree = self.trees.dir.join(slot);
        let marker = self.trees.inventory(slot);
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
