//! A fetch into the cache, and the clients that follow it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use repository_api::Digest;
use tokio::sync::watch;

use crate::storage::Located;
use crate::storage::blob::Sum;
use crate::storage::file::{self, blocking};
use crate::storage::keys::{self, Key};
use crate::storage::store::{Chunks, Store};

/// Bytes of a write.
const CHUNK: usize = 256 << 10;

/// The progress of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The store has not answered yet.
    Opening,
    /// So many bytes are in the file.
    Bytes(u64),
    /// All bytes are in the file, and their digest matches.
    Verified,
    Failed(FetchError),
}

/// Why a fetch failed. Copied to each follower; the cause is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchError {
    /// The store has no such blob.
    Missing,
    /// The digest does not match.
    Damaged,
    /// The network or the cache's disk failed. Reading from the store may succeed.
    Transfer,
}

#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) file: Arc<File>,
    pub(super) blob: Located,
    pub(super) progress: watch::Sender<Progress>,
}

impl Fetch {
    pub(super) async fn run(&self, store: &Arc<dyn Store>) -> Result<(), FetchError> {
        let transfer = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, blob = %self.blob.id, "failed to fetch a blob into the cache");
            FetchError::Transfer
        };
        let key = keys::blob(self.blob.id);
        let content = store
            .open(&key, Some(0..self.blob.size))
            .await
            .map_err(|error| transfer(&error.chain()))?;
        let Some(chunks) = content else {
            return Err(FetchError::Missing);
        };
        let (size, sha256) = self.copy(chunks).await.map_err(|error| transfer(&error))?;
        if (size, sha256) != (self.blob.size, self.blob.sha256) {
            tracing::error!(
                %key,
                "a blob of the store is damaged: expected {} bytes with sha256:{}, found {size} with sha256:{sha256}",
                self.blob.size,
                self.blob.sha256
            );
            return Err(FetchError::Damaged);
        }
        // A power cut must not leave a file of the right size with wrong bytes.
        let file = Arc::clone(&self.file);
        blocking(move || file.sync_data())
            .await
            .map_err(|error| transfer(&error))
    }

    async fn copy(&self, mut chunks: Chunks) -> io::Result<(u64, Digest)> {
        let mut sum = Sum::default();
        let mut written = 0;
        let mut pending = BytesMut::new();
        while let Some(bytes) = chunks.next().await {
            let bytes = bytes?;
            sum.add(&bytes);
            pending.extend_from_slice(&bytes);
            if pending.len() >= CHUNK {
                written += self.write(pending.split().freeze(), written).await?;
            }
        }
        self.write(pending.freeze(), written).await?;
        Ok(sum.end())
    }

    async fn write(&self, bytes: Bytes, at: u64) -> io::Result<u64> {
        let (file, length) = (Arc::clone(&self.file), bytes.len() as u64);
        blocking(move || file.write_all_at(&bytes, at)).await?;
        self.progress.send_replace(Progress::Bytes(at + length));
        Ok(length)
    }
}

/// A client that reads a blob while it is fetched.
pub(super) struct Follower {
    pub(super) file: Arc<File>,
    /// Bytes of the whole blob.
    pub(super) size: u64,
    pub(super) progress: watch::Receiver<Progress>,
    /// Serves the rest if the fetch fails.
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Key,
}

enum Source {
    File(Follower),
    Store(Chunks),
}

impl Follower {
    /// Reads `range` as it arrives. The last byte of the blob is held back until the digest matches.
    pub(super) fn follow(self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let begin = (Source::File(self), range.start);
        stream::try_unfold(begin, move |(source, at)| async move {
            let mut chunks = match source {
                Source::Store(chunks) => chunks,
                Source::File(_) if at == range.end => return Ok(None),
                Source::File(mut follower) => match follower.available(at, range.end).await? {
                    Some(end) => {
                        let bytes = follower.read(at, end).await?;
                        let at = at + bytes.len() as u64;
                        return Ok(Some((bytes, (Source::File(follower), at))));
                    }
                    None => follower.read_store(at..range.end).await?,
                },
            };
            let bytes = chunks.next().await.transpose()?;
            Ok(bytes.map(|bytes| (bytes, (Source::Store(chunks), at))))
        })
        .boxed()
    }

    /// Waits for bytes after `at`, and returns where they end; `None` if the fetch failed and the store may
    /// have them.
    async fn available(&mut self, at: u64, end: u64) -> io::Result<Option<u64>> {
        let size = self.size;
        let available = |progress: Progress| match progress {
            Progress::Bytes(bytes) => bytes.min(size - 1).min(end),
            Progress::Verified => end,
            Progress::Opening | Progress::Failed(_) => at,
        };
        let now = self
            .progress
            .wait_for(|now| matches!(now, Progress::Failed(_)) || available(*now) > at)
            .await
            .map(|now| *now)
            .map_err(io::Error::other)?;
        match now {
            Progress::Failed(FetchError::Transfer) => Ok(None),
            Progress::Failed(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the blob in the store is damaged",
            )),
            now => Ok(Some(available(now))),
        }
    }

    async fn read(&self, at: u64, end: u64) -> io::Result<Bytes> {
        let end = end.min(at + file::CHUNK);
        file::read(Arc::clone(&self.file), at..end).await
    }

    async fn read_store(self, range: Range<u64>) -> io::Result<Chunks> {
        match self.store.open(&self.key, Some(range)).await {
            Ok(Some(chunks)) => Ok(chunks),
            Ok(None) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
