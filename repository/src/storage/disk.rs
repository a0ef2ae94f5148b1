//! What a local disk needs besides an object store's calls.
//!
//! 1. a lock: the catalogue in memory is one process's, so two of them on one directory would not
//!    see each other's writes
//! 2. the directories right below the root, made durable once, so that no writer depends on another
//!    one's sync
//! 3. a sweep of temporary files: a process that was killed leaves them, and the store's own listing
//!    does not show them

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{StorageError, keys};

/// A container that is replaced ends while its successor starts.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Disk {
    _lock: File,
}

impl Disk {
    pub(super) async fn open(root: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        prepare(root).map_err(failed)?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(".lock"))
            .map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(
                            "another repository uses this directory: waiting for its end for up to {PATIENCE:?}"
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StorageError::InUse {
                        path: root.to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let swept = sweep(root.to_owned()).map_err(failed)?;
        if swept > 0 {
            tracing::info!(
                files = swept,
                "swept temporary files that an earlier process left"
            );
        }
        Ok(Self { _lock: lock })
    }
}

fn prepare(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for prefix in keys::PREFIXES {
        fs::create_dir_all(root.join(prefix))?;
    }
    for directory in [Some(root), root.parent()].into_iter().flatten() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Removes what the object store writes before it renames or links: `NAME#NUMBER`. No key of ours
/// has a `#`.
fn sweep(root: PathBuf) -> io::Result<u64> {
    let mut swept = 0;
    let mut open = vec![root];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && is_temporary(&entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path())?;
                swept += 1;
            }
        }
    }
    Ok(swept)
}

fn is_temporary(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_store_s_own_names_are_temporary() {
        assert!(super::is_temporary("0190abc#1") && super::is_temporary("record.json#12"));
        for name in ["record.json", "a#", "#a", "0190abc", ".lock"] {
            assert!(!super::is_temporary(name), "{name}");
        }
    }
}
