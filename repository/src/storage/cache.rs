//! A bounded cache on a local disk, in front of a store that is far away.
//!
//! - a blob is fetched once, however many wait for it; they follow the file as it grows ([`fetch`])
//! - its digest is compared on the way in: nobody is given its last byte before, and what does not match is
//!   not kept; a part that ends before is given as it comes
//! - there is room for all of it before a fetch begins: what was used longest ago goes, and whoever reads
//!   that just then reads on; where there is no room, or the cache's disk fails, bytes come from the store
//! - one process has the directory

mod fetch;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use super::disk::{blocking, open_blob};
use super::keys::{self, BlobId, Key};
use super::store::{Content, Store};
use super::{Located, StorageError};
use fetch::{Fetch, Follower, Progress, Trouble};

/// Below the cache's directory: what is not complete.
const UNFINISHED: &str = "unfinished";

#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    /// Held as long as the process uses the directory.
    _lock: File,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<BlobId, Kept>,
    fetches: HashMap<BlobId, UnderWay>,
    /// Of what is kept, and of what is fetched, as it will be.
    bytes: u64,
    /// Of what is fetched alone.
    fetching: u64,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    size: u64,
    used: u64,
}

/// Where the bytes of a blob come from.
enum Source {
    Kept(File),
    UnderWay(UnderWay),
    /// There is no room for it here.
    Store,
}

/// A fetch, for those who follow it.
#[derive(Debug, Clone)]
struct UnderWay {
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
}

impl Cache {
    /// What an earlier process left complete is used again.
    pub(crate) fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        let unfinished = directory.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        let lock = lock(directory)?;
        for entry in fs::read_dir(&unfinished)? {
            fs::remove_file(entry?.path())?;
        }
        let mut state = State::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(id) = id {
                let size = entry.metadata()?.len();
                state.bytes += size;
                state.kept.insert(id, Kept { size, used: 0 });
            }
        }
        let cache = Self {
            directory: directory.to_owned(),
            max_bytes,
            state: Mutex::new(state),
            _lock: lock,
        };
        cache.make_room(&mut cache.state());
        Ok(cache)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// A part of a blob: from here, or fetched on the way.
    pub(super) async fn part(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        blob: Located,
        range: Range<u64>,
    ) -> Result<Content, StorageError> {
        let key = keys::blob(blob.id);
        let under_way = match self.source(store, blob) {
            Ok(Source::Kept(file)) => {
                let failed = |source| StorageError::object("read", &key, source);
                return blocking(move || open_blob(file)?.part(range))
                    .await
                    .map_err(failed);
            }
            Ok(Source::UnderWay(under_way)) => under_way,
            Ok(Source::Store) => return straight(store, &key, range).await,
            Err(error) => {
                tracing::warn!(%error, "the cache cannot be written to: a blob comes from the store");
                return straight(store, &key, range).await;
            }
        };
        let UnderWay { file, mut progress } = under_way;
        // Until something is known of it: an answer that has begun cannot say that it fails.
        let known = progress
            .wait_for(|progress| *progress != Progress::Opening)
            .await
            .map_or(Progress::Failed(Trouble::Elsewhere), |progress| *progress);
        match known {
            Progress::Failed(Trouble::Missing) => Err(StorageError::Missing {
                key: key.to_string(),
            }),
            Progress::Failed(Trouble::Damage) => Err(StorageError::damaged(
                &key,
                "its bytes are not those that were published",
            )),
            Progress::Failed(Trouble::Elsewhere) => straight(store, &key, range).await,
            _ => {
                let store = Arc::clone(store);
                let follower = Follower {
                    file,
                    size: blob.size,
                    progress,
                    store,
                    key,
                };
                Ok(Content::Stream(follower.follow(range)))
            }
        }
    }

    /// What is kept, a fetch that is under way, or a new one. All of it is decided at once: between two looks a fetch may
    /// end.
    fn source(self: &Arc<Self>, store: &Arc<dyn Store>, blob: Located) -> io::Result<Source> {
        let mut state = self.state();
        if let Some(file) = self.kept(&mut state, blob) {
            return Ok(Source::Kept(file));
        }
        if let Some(under_way) = state.fetches.get(&blob.id) {
            return Ok(Source::UnderWay(under_way.clone()));
        }
        // Where the rest is being fetched, too, nobody need go for one that does not fit.
        if state.fetching + blob.size > self.max_bytes {
            return Ok(Source::Store);
        }
        self.fetch(&mut state, store, blob).map(Source::UnderWay)
    }

    /// The file of a blob that is complete, and its use noted.
    fn kept(&self, state: &mut State, blob: Located) -> Option<File> {
        state.clock += 1;
        let now = state.clock;
        let kept = state.kept.get_mut(&blob.id)?;
        kept.used = now;
        let opened = File::open(self.path(blob.id)).ok();
        let file =
            opened.filter(|file| file.metadata().is_ok_and(|found| found.len() == blob.size));
        if file.is_none() {
            // Somebody cleaned the directory, or its disk lost what it had.
            self.remove(state, blob.id);
        }
        file
    }

    /// Begins a fetch, for which there is room.
    fn fetch(
        self: &Arc<Self>,
        state: &mut State,
        store: &Arc<dyn Store>,
        blob: Located,
    ) -> io::Result<UnderWay> {
        state.fetching += blob.size;
        state.bytes += blob.size;
        self.make_room(state);
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

    fn finish(&self, fetch: &Fetch, path: &Path, fetched: Result<(), Trouble>) {
        let blob = fetch.blob;
        let mut state = self.state();
        state.fetching -= blob.size;
        // Somebody may have purged it meanwhile.
        let is_wanted = state
            .fetches
            .get(&blob.id)
            .is_some_and(|under_way| Arc::ptr_eq(&under_way.file, &fetch.file));
        if is_wanted {
            state.fetches.remove(&blob.id);
        }
        let is_kept = fetched.is_ok()
            && is_wanted
            && match fs::rename(path, self.path(blob.id)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, blob = %blob.id, "a blob cannot be kept in the cache");
                    false
                }
            };
        if is_kept {
            state.clock += 1;
            let used = state.clock;
            let size = blob.size;
            state.kept.insert(blob.id, Kept { size, used });
        } else {
            state.bytes -= blob.size;
            let _ = fs::remove_file(path);
        }
        drop(state);
        fetch.progress.send_replace(match fetched {
            Ok(()) => Progress::Verified,
            Err(trouble) => Progress::Failed(trouble),
        });
    }

    fn make_room(&self, state: &mut State) {
        while state.bytes > self.max_bytes {
            let oldest = state.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(id) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.remove(state, id);
        }
    }

    fn remove(&self, state: &mut State, id: BlobId) {
        let Some(kept) = state.kept.remove(&id) else {
            return;
        };
        state.bytes -= kept.size;
        if let Err(error) = fs::remove_file(self.path(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, blob = %id, "the cache keeps a file that it should not");
        }
    }

    /// It is neither kept any more, nor when the fetch that is under way ends.
    pub(super) fn forget(&self, id: BlobId) {
        let mut state = self.state();
        state.fetches.remove(&id);
        self.remove(&mut state, id);
    }

    /// The file of a blob, if it is kept, for whoever wants to know whether it is still what it was.
    pub(super) fn file(&self, id: BlobId) -> Option<PathBuf> {
        self.state().kept.contains_key(&id).then(|| self.path(id))
    }
}

/// Two processes would each delete what the other one uses.
fn lock(directory: &Path) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another process uses it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Past the cache.
async fn straight(
    store: &Arc<dyn Store>,
    key: &Key,
    range: Range<u64>,
) -> Result<Content, StorageError> {
    let found = store.open(key, range).await?;
    found.ok_or_else(|| StorageError::Missing {
        key: key.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::blob::Sum;
    use crate::storage::{Location, Storage};

    /// A disk stands for the store that is far away.
    #[tokio::test]
    async fn a_copy_that_is_not_what_it_was_is_let_go() {
        let (far, near) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let location = Location::Directory(far.path().to_owned());
        let storage = Storage::open(&location).await.unwrap();
        storage.use_cache(Cache::open(near.path(), 1 << 20).unwrap());
        let bytes = Bytes::from(vec![7; 100_000]);
        let mut upload = storage.begin_blob().await.unwrap();
        upload.write(&bytes).await.unwrap();
        let id = upload.finish().await.unwrap();
        let mut sum = Sum::default();
        sum.add(&bytes);
        let (size, sha256) = sum.end();
        let blob = Located { id, size, sha256 };
        let copy = near.path().join(id.to_string());
        let Content::Stream(chunks) = storage.blob(blob, 0..size).await.unwrap() else {
            panic!("it comes while it is fetched");
        };
        assert_eq!(Sum::of(chunks).await.unwrap(), (size, sha256));
        assert!(storage.check_cached(blob).await && copy.exists());
        let mut damaged = bytes.to_vec();
        damaged[50_000] ^= 1;
        fs::write(&copy, damaged).unwrap();
        assert!(!storage.check_cached(blob).await, "it is found");
        assert!(!copy.exists() && storage.check_cached(blob).await);
    }
}
