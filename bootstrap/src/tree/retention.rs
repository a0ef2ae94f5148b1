//! Retires the trees that an app no longer needs: the directory keeps the app's current and previous
//! tree.
//!
//! 1. note in the current tree's lock file that the app starts there now
//! 2. list the app's trees by their lock files; choose the superseded ones
//! 3. skip trees in use, and trees that a start without the repository needs
//! 4. move the others into staging: from then on no start can find them, and they can be deleted while
//!    the app runs

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use repository_api::{AppName, Digest};

use super::directory::Tree;
use super::lock;
use super::slot::Slot;
use super::writer::LockedTrees;

/// The retired trees.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// The digests of which no tree is left.
    pub(crate) digests: BTreeSet<Digest>,
    /// The directories to remove.
    pub(crate) paths: Vec<PathBuf>,
}

/// Retires the superseded trees of `app`, which starts in `current`, but none whose digest `is_needed`.
pub(crate) fn retire_superseded(
    trees: &LockedTrees<'_>,
    app: &AppName,
    current: &Tree,
    is_needed: impl Fn(Digest) -> bool,
) -> Retired {
    if let Some(lock) = &current.lock
        && let Err(error) = note_use(lock, app)
    {
        tracing::debug!(
            "failed to note the use of {}: {error}",
            current.path.display()
        );
    }
    let mut paths = Vec::new();
    let mut left = used_by(trees, app);
    let used: BTreeSet<Digest> = left.iter().map(|(slot, _)| slot.digest).collect();
    for slot in superseded(current.slot, left.clone()) {
        if is_needed(slot.digest) {
            continue;
        }
        let tree = slot.tree(trees.dir());
        match retire(trees, slot) {
            Ok(Outcome::InUse) => {}
            Ok(Outcome::Retired(path)) => {
                if let Some(path) = path {
                    tracing::info!(
                        stage = "retention",
                        "removing {}: {app} keeps its current and its previous tree",
                        tree.display()
                    );
                    paths.push(path);
                }
                left.retain(|(other, _)| *other != slot);
            }
            Err(error) => tracing::warn!(
                "failed to remove {}, which is superseded: {error}",
                tree.display()
            ),
        }
    }
    let left: BTreeSet<Digest> = left.iter().map(|(slot, _)| slot.digest).collect();
    Retired {
        digests: used.difference(&left).copied().collect(),
        paths,
    }
}

/// Writes the app's name into a tree's lock file, and the present time as the file's.
fn note_use(lock: &File, app: &AppName) -> io::Result<()> {
    let name = app.as_str().as_bytes();
    if read_name(lock)? != name {
        lock.set_len(0)?;
        lock.write_all_at(name, 0)?;
    }
    lock.set_modified(SystemTime::now())
}

fn read_name(lock: &File) -> io::Result<Vec<u8>> {
    // A name has at most 63 bytes.
    let mut name = [0; 64];
    let read = lock.read_at(&mut name, 0)?;
    Ok(name[..read].to_vec())
}

/// The slots of an app's trees, with the time of the last start in each.
fn used_by(trees: &LockedTrees<'_>, app: &AppName) -> Vec<(Slot, SystemTime)> {
    let entries = fs::read_dir(trees.dir()).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let slot = Slot::of_lock(entry.file_name().to_str()?)?;
            let lock = lock::open(&entry.path()).ok()?;
            let is_ours = read_name(&lock).ok()? == app.as_str().as_bytes();
            is_ours.then_some((slot, lock.metadata().ok()?.modified().ok()?))
        })
        .collect()
}

/// All slots but the current one and the last used slot of another digest.
fn superseded(current: Slot, mut used: Vec<(Slot, SystemTime)>) -> Vec<Slot> {
    used.retain(|(slot, _)| *slot != current);
    let previous = used
        .iter()
        .filter(|(slot, _)| slot.digest != current.digest)
        .max_by_key(|(_, time)| *time)
        .map(|(slot, _)| *slot);
    used.into_iter()
        .map(|(slot, _)| slot)
        .filter(|slot| Some(*slot) != previous)
        .collect()
}

enum Outcome {
    InUse,
    /// The tree's new path, if there was a tree.
    Retired(Option<PathBuf>),
}

/// Moves a tree that is not in use into staging.
fn retire(trees: &LockedTrees<'_>, slot: Slot) -> io::Result<Outcome> {
    let path = slot.lock(trees.dir());
    let lock = lock::open(&path)?;
    // Without support for locks, no one can tell whether an app runs in the tree.
    if lock.try_lock().is_err() {
        return Ok(Outcome::InUse);
    }
    // Without its inventory, the tree is incomplete: no start can find it any more.
    remove_if_there(&slot.inventory(trees.dir()))?;
    let staging = trees.staging();
    let found = match fs::rename(slot.tree(trees.dir()), &staging) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    // The lock file goes last: while it is there, the next start tries again.
    remove_if_there(&path)?;
    Ok(Outcome::Retired(found.then_some(staging)))
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn slot(digest: u8, number: u32) -> Slot {
        Slot {
            digest: Digest::new([digest; 32]),
            number,
        }
    }

    fn retired(current: Slot, used: &[(Slot, u64)]) -> Vec<Slot> {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let used = used.iter().map(|(slot, seconds)| (*slot, at(*seconds)));
        superseded(current, used.collect())
    }

    #[test]
    fn the_current_and_the_previous_tree_stay() {
        let (one, two, three) = (slot(1, 0), slot(2, 0), slot(3, 0));
        assert_eq!(retired(one, &[(one, 1)]), []);
        assert_eq!(retired(two, &[(one, 1), (two, 2)]), []);
        assert_eq!(retired(three, &[(one, 1), (two, 2), (three, 3)]), [one]);
        // A start of the older release makes it the current one again.
        assert_eq!(retired(one, &[(one, 4), (two, 2), (three, 3)]), [two]);
        // The current tree is known, whatever the clock says.
        assert_eq!(retired(three, &[(one, 1), (two, 9), (three, 0)]), [one]);
    }

    #[test]
    fn one_slot_of_each_digest_stays() {
        let (current, beside) = (slot(2, 1), slot(2, 0));
        let (older, newer) = (slot(1, 0), slot(1, 1));
        assert_eq!(
            retired(
                current,
                &[(older, 1), (newer, 2), (beside, 3), (current, 4)]
            ),
            [older, beside]
        );
    }
}
