//! Blobs: bytes of any size. Each upload has a key of its own, so two of them never meet, and
//! cleaning up after one touches only that one.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResultPayload, MultipartUpload, ObjectStoreExt as _, PutPayload,
};
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use super::{Storage, StorageError, failed, keys};

/// Bytes that are handed on at once: large enough to keep system calls rare, small enough for
/// thousands of connections.
const CHUNK: usize = 256 << 10;

/// Bytes that are gathered before they are written: each upload under way holds as many.
const PART: usize = 256 << 10;

/// An upload under way. Invisible until a record names its id.
#[derive(Debug)]
pub(crate) struct Upload {
    id: String,
    key: Path,
    parts: Box<dyn MultipartUpload>,
    pending: Vec<u8>,
}

impl Storage {
    pub(crate) async fn begin_blob(&self) -> Result<Upload, StorageError> {
        // Version 7: sorted by time, which later tells what is older than the longest upload.
        let id = Uuid::now_v7().simple().to_string();
        let key = keys::blob(&id);
        let parts = self
            .objects
            .put_multipart(&key)
            .await
            .map_err(|source| failed("begin", &key, source))?;
        Ok(Upload {
            id,
            key,
            parts,
            pending: Vec::new(),
        })
    }

    /// Fails where a blob that a record names is not there.
    pub(crate) async fn expect_blob(&self, id: &str) -> Result<(), StorageError> {
        let key = keys::blob(id);
        match self.objects.head(&key).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => Err(StorageError::Missing {
                key: key.to_string(),
            }),
            Err(source) => Err(failed("read", &key, source)),
        }
    }

    pub(crate) async fn delete_blob(&self, id: &str) {
        let key = keys::blob(id);
        if let Err(error) = self.delete(&key).await {
            // Nothing names it: it costs space and nothing else.
            tracing::warn!(error = %error.chain(), "left an unnamed blob behind");
        }
    }

    /// The bytes of `range`, which must lie within the blob.
    pub(crate) async fn blob(
        &self,
        id: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, StorageError> {
        let key = keys::blob(id);
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let result = self
            .objects
            .get_opts(&key, options)
            .await
            .map_err(|source| failed("read", &key, source))?;
        Ok(match result.payload {
            GetResultPayload::File(file, _path) => file_chunks(file, range).boxed(),
            GetResultPayload::Stream(stream) => stream
                .map(|chunk| chunk.map_err(std::io::Error::other))
                .boxed(),
        })
    }
}

fn file_chunks(
    file: std::fs::File,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    use std::io::SeekFrom;
    use tokio::io::AsyncSeekExt as _;
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(CHUNK);
    let start = (file, range.start, false);
    futures_util::stream::try_unfold(start, move |(mut file, position, placed)| async move {
        if position == range.end {
            return Ok(None);
        }
        if !placed {
            file.seek(SeekFrom::Start(position)).await?;
        }
        let wanted = usize::try_from(range.end - position)
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let mut chunk = bytes::BytesMut::with_capacity(wanted);
        let read = file.read_buf(&mut chunk).await?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        }
        chunk.truncate(wanted);
        let position = position + chunk.len() as u64;
        Ok(Some((chunk.freeze(), (file, position, true))))
    })
}

impl Upload {
    pub(crate) async fn write(&mut self, bytes: &Bytes) -> Result<(), StorageError> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PART {
            self.write_part().await?;
        }
        Ok(())
    }

    async fn write_part(&mut self) -> Result<(), StorageError> {
        let part = PutPayload::from(std::mem::take(&mut self.pending));
        self.parts
            .put_part(part)
            .await
            .map_err(|source| failed("write", &self.key, source))
    }

    /// Makes the bytes durable and returns the blob's id.
    pub(crate) async fn finish(mut self) -> Result<String, StorageError> {
        if !self.pending.is_empty() {
            self.write_part().await?;
        }
        self.parts
            .complete()
            .await
            .map_err(|source| failed("complete", &self.key, source))?;
        Ok(self.id)
    }

    pub(crate) async fn abort(mut self) {
        if let Err(error) = self.parts.abort().await {
            tracing::warn!(%error, key = %self.key, "left an unfinished upload behind");
        }
    }
}
