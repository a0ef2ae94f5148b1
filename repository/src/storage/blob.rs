//! Blobs: bytes of any size. Each upload has its own key, so uploads never conflict.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt as _};
use repository_api::Digest;
use sha2::{Digest as _, Sha256};

use super::keys::{self, BlobId};
use super::store::{Chunks, Listed, Writer, read_range};
use super::{Located, Storage, StorageError, file};

/// Bytes of a write. Each upload buffers as many.
const PART: usize = 256 << 10;

/// An upload. Readers don't see it until a log references its id.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) id: BlobId,
    writer: Box<dyn Writer>,
    pending: BytesMut,
}

impl Storage {
    pub(crate) async fn begin_blob(&self) -> Result<Upload, StorageError> {
        let id = BlobId::new();
        Ok(Upload {
            id,
            writer: self.store.begin(&keys::blob(id)).await?,
            pending: BytesMut::new(),
        })
    }

    /// Deletes a blob that no log references. Returns whether that succeeded; otherwise gc retries.
    pub(crate) async fn delete_blob(&self, id: BlobId) -> bool {
        if let Some(cache) = self.cache.get() {
            cache.forget(id);
        }
        let deleted = self.store.delete(&keys::blob(id)).await;
        if let Err(error) = &deleted {
            tracing::warn!(error = %error.chain(), "failed to delete an unreferenced blob; gc retries");
        }
        deleted.is_ok()
    }

    /// Reads `range`, which must lie within the blob.
    pub(crate) async fn blob(
        &self,
        blob: Located,
        range: Range<u64>,
    ) -> Result<Chunks, StorageError> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        if let Some(cache) = self.cache.get() {
            return cache.part(&self.store, blob, range).await;
        }
        read_range(&self.store, &keys::blob(blob.id), range).await
    }

    /// Reads the blob from the store, whatever its size; `None` if it does not exist.
    pub(crate) async fn read_blob(&self, id: BlobId) -> Result<Option<Chunks>, StorageError> {
        self.store.open(&keys::blob(id), None).await
    }

    /// Computes size and digest of the blob in the store; `None` if it does not exist.
    pub(crate) async fn digest_of(
        &self,
        id: BlobId,
    ) -> Result<Option<(u64, Digest)>, StorageError> {
        let Some(chunks) = self.read_blob(id).await? else {
            return Ok(None);
        };
        Sum::of(chunks)
            .await
            .map(Some)
            .map_err(|source| StorageError::object("read", &keys::blob(id), source))
    }

    /// Deletes the cached copy if it is damaged. Returns whether it is undamaged or not cached.
    pub(crate) async fn check_cached(&self, blob: Located) -> bool {
        let Some(cache) = self.cache.get() else {
            return true;
        };
        let Some(path) = cache.file(blob.id) else {
            return true;
        };
        let found = match tokio::fs::File::open(path).await {
            Ok(file) => match file::chunks(file.into_std().await, None) {
                Ok(chunks) => Sum::of(chunks).await,
                Err(error) => Err(error),
            },
            // The blob was evicted in between.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return true,
            Err(error) => Err(error),
        };
        let is_intact = found.is_ok_and(|found| found == (blob.size, blob.sha256));
        if !is_intact {
            cache.forget(blob.id);
        }
        is_intact
    }

    /// Lists blobs after `after`, in the order in which their uploads began.
    pub(crate) async fn blobs(
        &self,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let after = after.map(|id| id.to_string());
        self.store.list(keys::BLOBS, after.as_deref(), limit).await
    }
}

impl Upload {
    pub(crate) async fn write(&mut self, bytes: &Bytes) -> Result<(), StorageError> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PART {
            self.writer.write(self.pending.split().freeze()).await?;
        }
        Ok(())
    }

    /// Makes the bytes durable.
    pub(crate) async fn finish(mut self) -> Result<BlobId, StorageError> {
        if !self.pending.is_empty() {
            let written = self.writer.write(self.pending.split().freeze()).await;
            if let Err(error) = written {
                self.writer.abort().await;
                return Err(error);
            }
        }
        self.writer.finish().await?;
        Ok(self.id)
    }

    pub(crate) async fn abort(self) {
        self.writer.abort().await;
    }
}

/// Computes size and digest of a stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sum {
    size: u64,
    hash: Sha256,
}

impl Sum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// The size in bytes, and the digest.
    pub(crate) fn end(self) -> (u64, Digest) {
        (self.size, Digest::new(self.hash.finalize().into()))
    }

    pub(crate) async fn of(mut chunks: Chunks) -> std::io::Result<(u64, Digest)> {
        let mut sum = Self::default();
        while let Some(chunk) = chunks.next().await {
            sum.add(&chunk?);
        }
        Ok(sum.end())
    }
}
