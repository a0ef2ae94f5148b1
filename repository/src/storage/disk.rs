//! A store in a directory of a local disk.
//!
//! - an object is written to `uploads/`, synced, and renamed to its key unless that exists
//!   (`RENAME_NOREPLACE`); then its directory is synced
//! - [`lock`]: one server uses the directory, so at its start everything in `uploads/` is garbage
//! - [`directories`]: creates directories, and records which are synced

mod directories;
mod lock;
mod upload;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use uuid::Uuid;

use super::StorageError;
use super::file::{self, blocking};
use super::keys::{self, Key};
use super::store::{Chunks, Created, Listed, Store, Writer};
use directories::Directories;
use lock::{CommandLock, ServerLock};

const UPLOADS: &str = "uploads";

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    directories: Directories,
    _guard: Guard,
}

/// The lock that is held while the directory is in use.
#[derive(Debug)]
enum Guard {
    Server { _lock: ServerLock },
    Command { _lock: CommandLock },
}

impl Disk {
    /// Opens the directory for a server: locks it, and deletes what a crash left in `uploads/`.
    pub(crate) async fn open(root: &Path) -> Result<Self, StorageError> {
        let lock = ServerLock::take(root).await?;
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        let uploads = root.join(UPLOADS);
        // No upload of an earlier server continues, but one of a running command does.
        let swept = if CommandLock::is_free(root).map_err(failed)? {
            sweep(&uploads, Duration::ZERO, true).map_err(failed)?
        } else {
            0
        };
        if swept > 0 {
            tracing::info!(
                files = swept,
                "deleted unfinished uploads of an earlier process"
            );
        }
        Self::new(root, Guard::Server { _lock: lock }).map_err(failed)
    }

    /// Opens the directory for a command, which may run beside a server.
    pub(crate) fn open_for_command(
        root: &Path,
        create_if_missing: bool,
    ) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        if !create_if_missing && !root.join(keys::APPS).is_dir() {
            return Err(StorageError::NoRepository {
                path: root.to_owned(),
            });
        }
        fs::create_dir_all(root).map_err(failed)?;
        let lock = CommandLock::take(root).map_err(failed)?;
        Self::new(root, Guard::Command { _lock: lock }).map_err(failed)
    }

    fn new(root: &Path, guard: Guard) -> io::Result<Self> {
        let directories = Directories::new(root.to_owned());
        for name in [UPLOADS, keys::APPS, keys::NAMES, keys::BLOBS, keys::PROOFS] {
            directories.prepare(&root.join(name))?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                root: root.to_owned(),
                directories,
                _guard: guard,
            }),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &Key,
        work: impl FnOnce(&Inner, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let inner = Arc::clone(&self.inner);
        let path = inner.path(key);
        blocking(move || work(&inner, &path))
            .await
            .map_err(|source| StorageError::object(operation, key, source))
    }
}

/// Counts files to which nothing was written for `age`, and deletes them if `deletes`.
fn sweep(uploads: &Path, age: Duration, deletes: bool) -> io::Result<u64> {
    let entries = match fs::read_dir(uploads) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        // The file may be gone by now. A time in the future comes from another clock: the file is new.
        let is_old = entry.metadata().is_ok_and(|found| {
            let written = found.modified().ok();
            let idle = written.map(|written| written.elapsed().unwrap_or_default());
            found.is_file() && idle.is_some_and(|idle| idle >= age)
        });
        if !is_old {
            continue;
        }
        swept += 1;
        if deletes {
            remove_if_exists(&entry.path())?;
        }
    }
    Ok(swept)
}

impl Inner {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn upload_path(&self) -> PathBuf {
        self.root
            .join(UPLOADS)
            .join(Uuid::now_v7().simple().to_string())
    }

    /// Writes a synced file to `uploads/`.
    fn write(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let upload = self.upload_path();
        let written = File::create_new(&upload).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            file.sync_data()
        });
        match written {
            Ok(()) => Ok(upload),
            Err(error) => {
                remove(&upload);
                Err(error)
            }
        }
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Created> {
        let directory = path.parent().unwrap_or(&self.root);
        self.directories.prepare(directory)?;
        let upload = self.write(bytes)?;
        let added = self
            .directories
            .add(directory, || match rename_new(&upload, path) {
                Ok(()) => Ok(true),
                Err(error) => {
                    remove(&upload);
                    if error.kind() == io::ErrorKind::AlreadyExists {
                        return Ok(false);
                    }
                    Err(error)
                }
            })?;
        Ok(if added {
            Created::Now
        } else {
            Created::Already
        })
    }
}

/// Renames a file unless the new name exists. Falls back to a hard link where the file system lacks
/// `RENAME_NOREPLACE`.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            remove(from);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes an unfinished file. If that fails, the next start of the server does it.
fn remove(path: &Path) {
    if let Err(error) = remove_if_exists(path) {
        tracing::warn!(%error, path = %path.display(), "failed to remove an unfinished file; the next start removes it");
    }
}

#[async_trait]
impl Store for Disk {
    fn location(&self) -> String {
        format!("file://{}", self.inner.root.display())
    }

    /// Reads only: a full or read-only disk still serves.
    async fn probe(&self) -> Result<(), StorageError> {
        let directory = self.inner.root.join(keys::APPS);
        blocking(move || fs::read_dir(directory)?.next().transpose())
            .await
            .map(drop)
            .map_err(|source| StorageError::listing(keys::APPS, source))
    }

    fn visible_is_durable(&self) -> bool {
        false
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StorageError> {
        self.blocking("create", key, move |inner, path| inner.create(path, &bytes))
            .await
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StorageError> {
        let read = async {
            let Some(file) = file::open(self.inner.path(key)).await? else {
                return Ok(None);
            };
            let size = file.metadata()?.len();
            file::read(Arc::new(file), 0..size).await.map(Some)
        };
        read.await
            .map_err(|source| StorageError::object("read", key, source))
    }

    async fn repair(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError> {
        self.blocking("repair", key, move |inner, path| {
            let upload = inner.write(&bytes)?;
            fs::rename(&upload, path)?;
            inner.directories.sync(path.parent().unwrap_or(&inner.root))
        })
        .await
    }

    async fn make_durable(&self, key: &Key) -> Result<(), StorageError> {
        let path = self.inner.path(key);
        let directory = path.parent().unwrap_or(&self.inner.root);
        if self.inner.directories.is_durable(directory) {
            return Ok(());
        }
        self.blocking("sync", key, |inner, path| {
            inner
                .directories
                .make_durable(path.parent().unwrap_or(&inner.root))
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.blocking("delete", key, |_, path| remove_if_exists(path))
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let directory = self.inner.root.join(prefix);
        let after = after.map(str::to_owned);
        blocking(move || list(&directory, after.as_deref(), limit))
            .await
            .map_err(|source| StorageError::listing(prefix, source))
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn Writer>, StorageError> {
        let upload = upload::Upload::begin(self.clone(), key).await?;
        Ok(Box::new(upload))
    }

    async fn open(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<Option<Chunks>, StorageError> {
        let open = async {
            match file::open(self.inner.path(key)).await? {
                Some(file) => file::chunks(file, range).map(Some),
                None => Ok(None),
            }
        };
        open.await
            .map_err(|source| StorageError::object("read", key, source))
    }

    async fn sweep(&self, age: Duration, deletes: bool) -> Result<u64, StorageError> {
        let uploads = self.inner.root.join(UPLOADS);
        blocking(move || sweep(&uploads, age, deletes))
            .await
            .map_err(|source| StorageError::listing(UPLOADS, source))
    }
}

/// Lists a directory in the order of names. Reads all of it, whatever the limit, because directories have no order.
fn list(directory: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // Keys are ASCII, so other files are not objects.
        if let Ok(name) = entry?.file_name().into_string()
            && after.is_none_or(|after| name.as_str() > after)
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.truncate(limit);
    Ok(names
        .into_iter()
        .filter_map(|name| {
            // The object may have been deleted by now.
            let size = fs::metadata(directory.join(&name)).ok()?.size();
            Some(Listed { name, size })
        })
        .collect())
}
