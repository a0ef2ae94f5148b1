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
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{Progress, matches};
use crate::storage::Located;
use crate::storage::store::Content;

/// Bytes that are written, and read, at once.
const CHUNK: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) file: Arc<File>,
    pub(super) blob: Located,
    pub(super) progress: watch::Sender<Progress>,
}

impl Fetch {
    pub(super) async fn run(&self, source: Content) -> io::Result<()> {
        let mut stream = match source {
            Content::Whole(bytes) => stream::once(async { Ok(bytes) }).boxed(),
            Content::Stream(stream) => stream,
        };
        let mut hash = Sha256::new();
        let mut written = 0;
        let mut pending = BytesMut::new();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes?;
            hash.update(&bytes);
            pending.extend_from_slice(&bytes);
            if pending.len() >= CHUNK {
                written += self.write(pending.split().freeze(), written).await?;
            }
        }
        written += self.write(pending.freeze(), written).await?;
        matches(self.blob, written, Digest::new(hash.finalize().into()))
    }

    async fn write(&self, bytes: Bytes, at: u64) -> io::Result<u64> {
        let (file, length) = (Arc::clone(&self.file), bytes.len() as u64);
        blocking(move || file.write_all_at(&bytes, at)).await?;
        self.progress.send_replace(Progress::Bytes(at + length));
        Ok(length)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The bytes of `range` as they come. The last of them is held back until all are known to be right.
pub(super) fn follow(
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
    range: Range<u64>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let begin = (file, progress, range.start);
    stream::try_unfold(begin, move |(file, mut progress, at)| async move {
        if at == range.end {
            return Ok(None);
        }
        let available = |progress: Progress| match progress {
            Progress::Bytes(bytes) => bytes.min(range.end - 1),
            Progress::Verified => range.end,
            Progress::Failed => at,
        };
        let now = progress
            .wait_for(|now| *now == Progress::Failed || available(*now) > at)
            .await
            .map(|now| *now)
            .map_err(io::Error::other)?;
        if now == Progress::Failed {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the fetch from the store failed",
            ));
        }
        let length = usize::try_from(available(now) - at)
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let from = Arc::clone(&file);
        let bytes = blocking(move || {
            let mut bytes = vec![0; length];
            from.read_exact_at(&mut bytes, at)?;
            Ok(Bytes::from(bytes))
        })
        .await?;
        Ok(Some((bytes, (file, progress, at + length as u64))))
    })
    .boxed()
}
