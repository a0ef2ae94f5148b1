//! One fetch into the cache, and those who follow it.

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
use crate::storage::disk::blocking;
use crate::storage::keys::{self, Key};
use crate::storage::store::{Chunks, Content, Store};

/// Bytes that are written, and read, at once.
const CHUNK: usize = 256 << 10;

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The store was asked, and did not answer yet.
    Opening,
    /// Bytes in the file.
    Bytes(u64),
    /// All of them, and they are the right ones.
    Verified,
    Failed(Trouble),
}

/// Why a fetch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The store has no such blob.
    Missing,
    /// The bytes are not the right ones.
    Damage,
    /// On the way, or on the cache's disk: another attempt, past the cache, may do better.
    Elsewhere,
}

#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) file: Arc<File>,
    pub(super) blob: Located,
    pub(super) progress: watch::Sender<Progress>,
}

impl Fetch {
    pub(super) async fn run(&self, store: &Arc<dyn Store>) -> Result<(), Trouble> {
        let elsewhere = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, blob = %self.blob.id, "a blob was not fetched into the cache");
            Trouble::Elsewhere
        };
        let key = keys::blob(self.blob.id);
        let content = store
            .open(&key, 0..self.blob.size)
            .await
            .map_err(|error| elsewhere(&error.chain()))?;
        let chunks = match content {
            None => return Err(Trouble::Missing),
            Some(Content::Whole(bytes)) => stream::once(async { Ok(bytes) }).boxed(),
            Some(Content::Stream(chunks)) => chunks,
        };
        let (size, sha256) = self.copy(chunks).await.map_err(|error| elsewhere(&error))?;
        if (size, sha256) != (self.blob.size, self.blob.sha256) {
            tracing::error!(
                %key,
                "a blob of the store is damaged: expected {} bytes with sha256:{}, found {size} with sha256:{sha256}",
                self.blob.size,
                self.blob.sha256
            );
            return Err(Trouble::Damage);
        }
        // A cut of power must not leave a file of the right size with other bytes.
        let file = Arc::clone(&self.file);
        blocking(move || file.sync_data())
            .await
            .map_err(|error| elsewhere(&error))
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

/// Somebody who waits for the bytes of a fetch.
pub(super) struct Follower {
    pub(super) file: Arc<File>,
    /// Bytes of the whole blob.
    pub(super) size: u64,
    pub(super) progress: watch::Receiver<Progress>,
    /// Where the rest comes from, if the fetch fails.
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Key,
}

enum Way {
    File(Follower),
    Store(Chunks),
}

impl Follower {
    /// The bytes of `range` as they come. The last one of the blob is held back until all are known to be right.
    pub(super) fn follow(self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let begin = (Way::File(self), range.start);
        stream::try_unfold(begin, move |(way, at)| async move {
            let mut chunks = match way {
                Way::Store(chunks) => chunks,
                Way::File(_) if at == range.end => return Ok(None),
                Way::File(mut follower) => match follower.available(at, range.end).await? {
                    Some(end) => {
                        let bytes = follower.read(at, end).await?;
                        let at = at + bytes.len() as u64;
                        return Ok(Some((bytes, (Way::File(follower), at))));
                    }
                    None => follower.rest(at..range.end).await?,
                },
            };
            let bytes = chunks.next().await.transpose()?;
            Ok(bytes.map(|bytes| (bytes, (Way::Store(chunks), at))))
        })
        .boxed()
    }

    /// Up to where bytes after `at` can be given; `None` if they do not come this way.
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
            Progress::Failed(Trouble::Elsewhere) => Ok(None),
            Progress::Failed(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the bytes in the store are not those that were published",
            )),
            now => Ok(Some(available(now))),
        }
    }

    async fn read(&self, at: u64, end: u64) -> io::Result<Bytes> {
        let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    async fn rest(self, range: Range<u64>) -> io::Result<Chunks> {
        match self.store.open(&self.key, range).await {
            Ok(Some(Content::Stream(chunks))) => Ok(chunks),
            Ok(Some(Content::Whole(bytes))) => Ok(stream::once(async { Ok(bytes) }).boxed()),
            Ok(None) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
