//! A bounded cache on a local disk, in front of S3.
//!
//! - a blob is fetched once, however many clients wait for it; they read the file as it grows ([`fetch`])
//! - the digest of a blob is checked before a client gets its last byte; a blob that doesn't match isn't
//!   cached
//! - before a fetch, the least recently used blobs are deleted to make room; open files can still be read
//! - if a blob doesn't fit, or the cache's disk fails, bytes come from the store
//! - one process uses the directory

mod fetch;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio::sync::watch;
use uuid::Uuid;

use super::file;
use super::keys::{self, BlobId};
use super::store::{Chunks, Store, read_range};
use super::{Located, StorageError};
use fetch::{Fetch, FetchError, Follower, Progress};

/// The subdirectory of fetches under way.
const UNFINISHED: &str = "unfinished";

#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    /// Locked while the process uses the directory.
    _lock: File,
}

#[derive(Debug)]
struct State {
    /// Sizes of the complete blobs, ordered by use.
    cached: LruCache<BlobId, u64>,
    fetches: HashMap<BlobId, UnderWay>,
    /// Bytes of complete blobs, and of those being fetched.
    bytes: u64,
    /// Bytes of those being fetched.
    fetching: u64,
}

/// Where the bytes of a blob come from.
enum Source {
    Cached(File),
    UnderWay(UnderWay),
    Store,
}

/// A fetch that clients can follow.
#[derive(Debug, Clone)]
struct UnderWay {
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
}

impl Cache {
    /// Opens the cache, with the complete blobs of an earlier process.
    pub(crate) fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        let unfinished = directory.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        let lock = lock(directory)?;
        for entry in fs::read_dir(&unfinished)? {
            fs::remove_file(entry?.path())?;
        }
        let mut state = State {
            cached: LruCache::unbounded(),
            fetches: HashMap::new(),
            bytes: 0,
            fetching: 0,
        };
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(id) = id {
                let size = entry.metadata()?.len();
                state.bytes += size;
                state.cached.put(id, size);
            }
        }
        let cache = Self {
            directory: directory.to_owned(),
            max_bytes,
            state: Mutex::new(state),
            _lock: lock,
        };
        cache.evict(&mut cache.state());
        Ok(cache)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// Reads a range of a blob from the cache, or from the store while it is being fetched.
    pub(super) async fn part(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        blob: Located,
        range: Range<u64>,
    ) -> Result<Chunks, StorageError> {
        let key = keys::blob(blob.id);
        let under_way = match self.source(store, blob) {
            Ok(Source::Cached(file)) => {
                let failed = |source| StorageError::object("read", &key, source);
                return file::chunks(file, Some(range)).map_err(failed);
            }
            Ok(Source::UnderWay(under_way)) => under_way,
            Ok(Source::Store) => return read_range(store, &key, range).await,
            Err(error) => {
                tracing::warn!(%error, "failed to write to the cache; reading the blob from the store");
                return read_range(store, &key, range).await;
            }
        };
        let UnderWay { file, mut progress } = under_way;
        // An answer that has begun can't become an error, so wait for the first bytes.
        let first = progress
            .wait_for(|progress| *progress != Progress::Opening)
            .await
            .map_or(Progress::Failed(FetchError::Transfer), |progress| *progress);
        match first {
            Progress::Failed(FetchError::Missing) => Err(StorageError::missing(&key)),
            Progress::Failed(FetchError::Damaged) => Err(StorageError::damaged(
                &key,
                "its digest differs from that of the published file",
            )),
            Progress::Failed(FetchError::Transfer) => read_range(store, &key, range).await,
            _ => {
                let store = Arc::clone(store);
                let follower = Follower {
                    file,
                    size: blob.size,
                    progress,
                    store,
                    key,
                };
                Ok(follower.follow(range))
            }
        }
    }

    /// Finds the blob, or begins to fetch it. Holds the lock throughout, because a fetch may end at any time.
    fn source(self: &Arc<Self>, store: &Arc<dyn Store>, blob: Located) -> io::Result<Source> {
        let mut state = self.state();
        if let Some(file) = self.cached(&mut state, blob) {
            return Ok(Source::Cached(file));
        }
        if let Some(under_way) = state.fetches.get(&blob.id) {
            return Ok(Source::UnderWay(under_way.clone()));
        }
        // Fetches under way can't be evicted.
        if state.fetching + blob.size > self.max_bytes {
            return Ok(Source::Store);
        }
        self.fetch(&mut state, store, blob).map(Source::UnderWay)
    }

    /// Opens a complete blob, and marks it as used.
    fn cached(&self, state: &mut State, blob: Located) -> Option<File> {
        state.cached.get(&blob.id)?;
        let opened = File::open(self.path(blob.id)).ok();
        let file =
            opened.filter(|file| file.metadata().is_ok_and(|found| found.len() == blob.size));
        if file.is_none() {
            // The file was deleted or truncated from outside.
            self.remove(state, blob.id);
        }
        file
    }

    /// Makes room for the blob, and begins to fetch it.
    fn fetch(
        self: &Arc<Self>,
        state: &mut State,
        store: &Arc<dyn Store>,
        blob: Located,
    ) -> io::Result<UnderWay> {
        state.fetching += blob.size;
        state.bytes += blob.size;
        self.evict(state);
        let path = self
            .directory
            .join(UNFINISHED)
            .join(Uuid::now_v7().simple().to_string());
        let created = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let file = match created {
            Ok(file) => Arc::new(file),
            Err(error) => {
                state.fetching -= blob.size;
                state.bytes -= blob.size;
                return Err(error);
            }
        };
        let (sender, progress) = watch::channel(Progress::Opening);
        let under_way = UnderWay {
            file: Arc::clone(&file),
            progress,
        };
        state.fetches.insert(blob.id, under_way.clone());
        let fetch = Fetch {
            file,
            blob,
            progress: sender,
        };
        let (cache, store) = (Arc::clone(self), Arc::clone(store));
        tokio::spawn(async move {
            let fetched = fetch.run(&store).await;
            cache.finish(&fetch, &path, fetched);
        });
        Ok(under_way)
    }

    fn finish(&self, fetch: &Fetch, path: &Path, fetched: Result<(), FetchError>) {
        let blob = fetch.blob;
        let mut state = self.state();
        state.fetching -= blob.size;
        // The blob may have been purged during the fetch.
        let is_wanted = state
            .fetches
            .get(&blob.id)
            .is_some_and(|under_way| Arc::ptr_eq(&under_way.file, &fetch.file));
        if is_wanted {
            state.fetches.remove(&blob.id);
        }
        let is_cached = fetched.is_ok()
            && is_wanted
            && match fs::rename(path, self.path(blob.id)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, blob = %blob.id, "failed to add a blob to the cache");
                    false
                }
            };
        if is_cached {
            state.cached.put(blob.id, blob.size);
        } else {
            state.bytes -= blob.size;
            let _ = fs::remove_file(path);
        }
        drop(state);
        fetch.progress.send_replace(match fetched {
            Ok(()) => Progress::Verified,
            Err(error) => Progress::Failed(error),
        });
    }

    /// Deletes the least recently used blobs until the rest fits.
    fn evict(&self, state: &mut State) {
        while state.bytes > self.max_bytes
            && let Some((&id, _)) = state.cached.peek_lru()
        {
            self.remove(state, id);
        }
    }

    fn remove(&self, state: &mut State, id: BlobId) {
        let Some(size) = state.cached.pop(&id) else {
            return;
        };
        state.bytes -= size;
        if let Err(error) = fs::remove_file(self.path(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, blob = %id, "failed to delete a blob from the cache");
        }
    }

    /// Deletes a blob from the cache, also if it is still being fetched.
    pub(super) fn forget(&self, id: BlobId) {
        let mut state = self.state();
        state.fetches.remove(&id);
        self.remove(&mut state, id);
    }

    /// The path of a complete blob.
    pub(super) fn file(&self, id: BlobId) -> Option<PathBuf> {
        self.state().cached.contains(&id).then(|| self.path(id))
    }
}

/// Locks the directory: two processes would delete each other's files.
fn lock(directory: &Path) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::other("another process uses the directory"))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::blob::Sum;
    use crate::storage::{Location, Storage};

    /// A disk stands in for S3.
    #[tokio::test]
    async fn a_damaged_copy_is_deleted() {
        let (remote, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let location = Location::Directory(remote.path().to_owned());
        let storage = Storage::open(&location).await.unwrap();
        storage.use_cache(Cache::open(local.path(), 1 << 20).unwrap());
        let bytes = Bytes::from(vec![7; 100_000]);
        let mut upload = storage.begin_blob().await.unwrap();
        upload.write(&bytes).await.unwrap();
        let id = upload.finish().await.unwrap();
        let mut sum = Sum::default();
        sum.add(&bytes);
        let (size, sha256) = sum.end();
        let blob = Located { id, size, sha256 };
        let copy = local.path().join(id.to_string());
        let chunks = storage.blob(blob, 0..size).await.unwrap();
        assert_eq!(Sum::of(chunks).await.unwrap(), (size, sha256));
        assert!(storage.check_cached(blob).await && copy.exists());
        let mut damaged = bytes.to_vec();
        damaged[50_000] ^= 1;
        fs::write(&copy, damaged).unwrap();
        assert!(!storage.check_cached(blob).await);
        assert!(!copy.exists() && storage.check_cached(blob).await);
    }
}
