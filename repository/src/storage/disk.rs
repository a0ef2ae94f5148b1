//! A store in a directory of a local disk.
//!
//! - an object is written beside the others (`uploads/`), synced, and then takes its name by a rename
//!   that replaces nothing (`RENAME_NOREPLACE`); then its directory is synced
//! - one server has the directory (`lock`), so what lies in `uploads/` at its start is garbage
//! - [`directories`]: made and synced once, and again after every failure
//! - [`mapped`]: blobs are mapped into memory, where the page cache has them already

mod directories;
mod kept;
mod lock;
mod mapped;
mod near;
mod upload;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use uuid::Uuid;

use super::StorageError;
use super::keys::{self, Key};
use super::store::{Chunks, Content, Created, Listed, Store, Writer};
use directories::Directories;
use kept::Mapped;
use lock::{Beside, Lock};
use mapped::Opened;
pub(crate) use mapped::file_of;
pub(super) use mapped::open as open_blob;

const UPLOADS: &str = "uploads";

/// Bytes that are read at once where all of an object is looked at.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    directories: Directories,
    mapped: Mapped,
    _held: Held,
}

/// Held as long as the directory is used.
#[derive(Debug)]
enum Held {
    Alone { _lock: Lock },
    Beside { _lock: Beside },
}

impl Disk {
    /// For a server: takes the directory for this process alone, and sweeps what a crash left.
    pub(crate) async fn open(root: &Path) -> Result<Self, StorageError> {
        let lock = Lock::take(root).await?;
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        let uploads = root.join(UPLOADS);
        // Whatever is there belongs to nobody, however new it is, unless a command is at work.
        let swept = if Beside::nobody(root).map_err(failed)? {
            sweep(&uploads, Duration::ZERO, true).map_err(failed)?
        } else {
            0
        };
        if swept > 0 {
            tracing::info!(
                files = swept,
                "swept what an earlier process left unfinished"
            );
        }
        Self::new(root, Held::Alone { _lock: lock }).map_err(failed)
    }

    /// Beside a server that may be running.
    pub(crate) fn open_beside(root: &Path, may_be_new: bool) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Open {
            path: root.to_owned(),
            source,
        };
        if !may_be_new && !root.join(keys::APPS).is_dir() {
            return Err(StorageError::NoRepository {
                path: root.to_owned(),
            });
        }
        fs::create_dir_all(root).map_err(failed)?;
        let beside = Beside::join(root).map_err(failed)?;
        Self::new(root, Held::Beside { _lock: beside }).map_err(failed)
    }

    fn new(root: &Path, held: Held) -> io::Result<Self> {
        let directories = Directories::new(root.to_owned());
        for name in [UPLOADS, keys::APPS, keys::NAMES, keys::BLOBS, keys::PROOFS] {
            directories.prepare(&root.join(name))?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                root: root.to_owned(),
                directories,
                mapped: Mapped::default(),
                _held: held,
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

/// Counts, and if told to deletes, what nobody wrote to for `age`.
fn sweep(uploads: &Path, age: Duration, deletes: bool) -> io::Result<u64> {
    let entries = match fs::read_dir(uploads) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        // It may have gone meanwhile. What is from the future is from another clock, and new.
        let is_old = entry.metadata().is_ok_and(|found| {
            let written = found.modified().ok();
            let idle = written.map(|written| written.elapsed().unwrap_or_default());
            found.is_file() && idle.is_some_and(|idle| idle >= age)
        });
        if !is_old {
            continue;
        }
        swept += 1;
        if deletes
            && let Err(error) = fs::remove_file(entry.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(swept)
}

impl Inner {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn upload(&self) -> PathBuf {
        self.root
            .join(UPLOADS)
            .join(Uuid::now_v7().simple().to_string())
    }

    /// A file with this content, synced, under a name that means nothing.
    fn write(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let upload = self.upload();
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

/// Takes the new name unless it is taken. Where the file system has no such rename, a second link does
/// it, and the first name goes.
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

/// What cannot be removed is swept at the next start.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "left an unfinished file behind");
    }
}

#[async_trait]
impl Store for Disk {
    fn location(&self) -> String {
        format!("file://{}", self.inner.root.display())
    }

    /// A full disk, or one that takes nothing any more, still serves.
    async fn answers(&self) -> Result<(), StorageError> {
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
        // Mostly it is asked whether there is another entry, and there is none: that is known at once,
        // and costs less than to ask another thread.
        match File::open(self.inner.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                self.blocking("read", key, move |_, _| {
                    let mut bytes = Vec::new();
                    opened?.read_to_end(&mut bytes)?;
                    Ok(Some(bytes.into()))
                })
                .await
            }
        }
    }

    async fn mend(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError> {
        self.blocking("mend", key, move |inner, path| {
            let upload = inner.write(&bytes)?;
            fs::rename(&upload, path)?;
            inner.directories.sync(path.parent().unwrap_or(&inner.root))
        })
        .await
    }

    async fn settle(&self, key: &Key) -> Result<(), StorageError> {
        let path = self.inner.path(key);
        let directory = path.parent().unwrap_or(&self.inner.root);
        if self.inner.directories.is_settled(directory) {
            return Ok(());
        }
        self.blocking("sync", key, |inner, path| {
            inner
                .directories
                .settle(path.parent().unwrap_or(&inner.root))
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.forget(key);
        self.blocking("delete", key, |_, path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
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
        range: std::ops::Range<u64>,
    ) -> Result<Option<Content>, StorageError> {
        if let Some((bytes, is_recent)) = self.inner.mapped.get(key) {
            let part = async {
                let part = mapped::part(&bytes, range)?;
                if !is_recent && let Some(source) = file_of(&part) {
                    let range = source.offset..source.offset + part.len() as u64;
                    near::bring(&source.file, range).await?;
                }
                Ok::<_, io::Error>(Some(Content::Whole(part)))
            };
            return part
                .await
                .map_err(|source| StorageError::object("read", key, source));
        }
        let opened = self
            .blocking("read", key, |_, path| match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                file => mapped::open(file?).map(Some),
            })
            .await?;
        let Some(opened) = opened else {
            return Ok(None);
        };
        if let Opened::Whole(bytes) = &opened {
            self.inner.mapped.keep(key, bytes.clone());
        }
        opened
            .part(range)
            .map(Some)
            .map_err(|source| StorageError::object("read", key, source))
    }

    async fn stream(&self, key: &Key) -> Result<Option<Chunks>, StorageError> {
        let opened = self
            .blocking("read", key, |_, path| match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                file => file.map(Some),
            })
            .await?;
        Ok(opened.map(chunks))
    }

    async fn sweep(&self, age: Duration, deletes: bool) -> Result<u64, StorageError> {
        let uploads = self.inner.root.join(UPLOADS);
        blocking(move || sweep(&uploads, age, deletes))
            .await
            .map_err(|source| StorageError::listing(UPLOADS, source))
    }

    fn forget(&self, key: &Key) {
        self.inner.mapped.forget(key);
    }
}

/// By reads, and not by a mapping: a page that cannot be read is an error then.
pub(super) fn chunks(file: File) -> Chunks {
    stream::try_unfold(file, |mut file| {
        blocking(move || {
            let mut bytes = Vec::with_capacity(CHUNK);
            let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
            Ok((read > 0).then(|| (bytes.into(), file)))
        })
    })
    .boxed()
}

/// Runs on a thread where it may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// In the order of names. The whole directory is read, whatever the limit: its own order is none.
fn list(directory: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // No key of ours is anything but ASCII.
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
            // What went away meanwhile is not there.
            let size = fs::metadata(directory.join(&name)).ok()?.size();
            Some(Listed { name, size })
        })
        .collect())
}
