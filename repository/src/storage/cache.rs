//! A bounded cache on a local disk, in front of a store that is far away.
//!
//! - a blob is fetched once, however many wait for it; they follow the file as it grows ([`fetch`])
//! - its digest is compared on the way in: nobody is given the last bytes before, and what does not match
//!   is not kept
//! - when there is no room, what was used longest ago goes; whoever reads it just then reads on

mod fetch;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repository_api::Digest;
use tokio::sync::watch;

use super::disk::open_blob;
use super::keys::{self, BlobId, Key};
use super::store::{Content, Store};
use super::{Located, StorageError};
use fetch::Fetch;

/// What fails where it is the cache that fails.
const CACHE: &str = "cache";

/// Below the cache's directory: what is not complete.
const UNFINISHED: &str = "unfinished";

#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<BlobId, Kept>,
    bytes: u64,
    /// Counts uses.
    clock: u64,
    fetches: HashMap<BlobId, watch::Receiver<Progress>>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    size: u64,
    used: u64,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Bytes in the file.
    Bytes(u64),
    /// All of them, and they are the right ones.
    Verified,
    Failed,
}

impl Cache {
    /// What an earlier process left complete is used again.
    pub(crate) fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        let unfinished = directory.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
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
        if blob.size > self.max_bytes {
            return straight(store, &key, range).await;
        }
        if let Some(file) = self.kept(blob) {
            let failed = |source| StorageError::object("read", &key, source);
            return open_blob(file)
                .and_then(|opened| opened.part(range))
                .map_err(failed);
        }
        match self.fetch(store, blob).await {
            Ok((file, progress)) => Ok(Content::Stream(fetch::follow(file, progress, range))),
            Err(StorageError::Object {
                operation: CACHE,
                source,
                ..
            }) => {
                tracing::warn!(error = %source, "the cache cannot be written to: a blob comes from the store");
                straight(store, &key, range).await
            }
            Err(error) => Err(error),
        }
    }

    /// The file of a blob that is here.
    fn kept(&self, blob: Located) -> Option<File> {
        let id = blob.id;
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        state.kept.get_mut(&id)?.used = now;
        let is_whole = |file: &File| file.metadata().is_ok_and(|found| found.len() == blob.size);
        let file = File::open(self.path(id)).ok().filter(is_whole);
        if file.is_none() {
            // Somebody emptied the directory, or its disk lost what was not synced.
            let gone = state.kept.remove(&id)?;
            state.bytes -= gone.size;
        }
        file
    }

    /// The fetch that is under way, or a new one; and the file that it fills.
    async fn fetch(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        blob: Located,
    ) -> Result<(Arc<File>, watch::Receiver<Progress>), StorageError> {
        let key = keys::blob(blob.id);
        let failed = |source: io::Error| StorageError::object(CACHE, &key, source);
        let path = self.directory.join(UNFINISHED).join(blob.id.to_string());
        let under_way = self.state().fetches.get(&blob.id).cloned();
        if let Some(progress) = under_way
            && *progress.borrow() != Progress::Failed
        {
            // Complete by now, it may have moved.
            let file = File::open(&path).or_else(|_| File::open(self.path(blob.id)));
            return Ok((Arc::new(file.map_err(failed)?), progress));
        }
        let source = store.open(&key, 0..blob.size).await?;
        let source = source.ok_or_else(|| StorageError::Missing {
            key: key.to_string(),
        })?;
        let mut state = self.state();
        if let Some(progress) = state.fetches.get(&blob.id)
            && *progress.borrow() != Progress::Failed
        {
            // Somebody was quicker, while the store was asked.
            let progress = progress.clone();
            drop(state);
            let file = File::open(&path).or_else(|_| File::open(self.path(blob.id)));
            return Ok((Arc::new(file.map_err(failed)?), progress));
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(failed)?;
        let file = Arc::new(file);
        let (sender, progress) = watch::channel(Progress::Bytes(0));
        state.fetches.insert(blob.id, progress.clone());
        drop(state);
        let fetch = Fetch {
            file: Arc::clone(&file),
            blob,
            progress: sender,
        };
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = fetch.run(source).await;
            cache.finish(blob, &path, fetched, &fetch.progress);
        });
        Ok((file, progress))
    }

    fn finish(
        &self,
        blob: Located,
        path: &Path,
        fetched: io::Result<()>,
        progress: &watch::Sender<Progress>,
    ) {
        let mut state = self.state();
        state.fetches.remove(&blob.id);
        match fetched.and_then(|()| fs::rename(path, self.path(blob.id))) {
            Ok(()) => {
                state.clock += 1;
                let used = state.clock;
                let size = blob.size;
                if state.kept.insert(blob.id, Kept { size, used }).is_none() {
                    state.bytes += size;
                }
                self.make_room(&mut state);
                progress.send_replace(Progress::Verified);
            }
            Err(error) => {
                tracing::error!(%error, blob = %blob.id, "a blob was not fetched from the store");
                let _ = fs::remove_file(path);
                progress.send_replace(Progress::Failed);
            }
        }
    }

    fn make_room(&self, state: &mut State) {
        while state.bytes > self.max_bytes {
            let oldest = state.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some((id, kept)) = oldest.map(|(id, kept)| (*id, *kept)) else {
                return;
            };
            self.remove(state, id, kept);
        }
    }

    fn remove(&self, state: &mut State, id: BlobId, kept: Kept) {
        state.kept.remove(&id);
        state.bytes -= kept.size;
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::warn!(%error, blob = %id, "the cache keeps a file that it should not");
        }
    }

    pub(super) fn forget(&self, id: BlobId) {
        let mut state = self.state();
        if let Some(kept) = state.kept.get(&id).copied() {
            self.remove(&mut state, id, kept);
        }
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

/// What the bytes of a fetch must be.
fn matches(blob: Located, size: u64, sha256: Digest) -> io::Result<()> {
    if (size, sha256) == (blob.size, blob.sha256) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "expected {} bytes with sha256:{}, found {size} with sha256:{sha256}",
            blob.size, blob.sha256
        ),
    ))
}
