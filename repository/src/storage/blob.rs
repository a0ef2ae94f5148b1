//! Blobs: bytes of any size. Each upload has a key of its own, so two of them never meet, and
//! cleaning up after one touches only that one.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use repository_api::Digest;

use super::keys::{self, BlobId};
use super::store::{Content, Listed, Writer};
use super::{Located, Storage, StorageError};

/// Bytes that are gathered before they are written: each upload under way holds as many.
const PART: usize = 256 << 10;

/// An upload under way. Invisible until a log names its id.
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

    /// Nothing names it: where it cannot be deleted it costs space and nothing else.
    pub(crate) async fn delete_blob(&self, id: BlobId) {
        if let Some(cache) = &self.cache {
            cache.forget(id);
        }
        if let Err(error) = self.store.delete(&keys::blob(id)).await {
            tracing::warn!(error = %error.chain(), "left an unnamed blob behind");
        }
    }

    /// The bytes of `range`, which must lie within the blob.
    pub(crate) async fn blob(
        &self,
        blob: Located,
        range: Range<u64>,
    ) -> Result<Content, StorageError> {
        if range.is_empty() {
            return Ok(Content::Whole(Bytes::new()));
        }
        if let Some(cache) = &self.cache {
            return cache.part(&self.store, blob, range).await;
        }
        let key = keys::blob(blob.id);
        let found = self.store.open(&key, range).await?;
        found.ok_or_else(|| StorageError::Missing {
            key: key.to_string(),
        })
    }

    /// Size in bytes and digest of what lies there, read anew; `None` if there is nothing.
    pub(crate) async fn digest_of(
        &self,
        id: BlobId,
    ) -> Result<Option<(u64, Digest)>, StorageError> {
        self.store.digest(&keys::blob(id)).await
    }

    /// Blobs after `after`, in the order in which their uploads began: id and size in bytes.
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
