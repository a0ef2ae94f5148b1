//! The interface of a store. Its one primitive is *create this object unless it exists*. Every
//! implementation passes the tests in `suite.rs`.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::StorageError;
use super::keys::Key;

/// The outcome of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    Now,
    /// The object exists, or another create of it is under way. Nothing was written.
    Already,
}

/// The bytes of an object, read as the consumer takes them.
pub(crate) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// An object or directory in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Bytes of an object.
    pub(crate) size: u64,
}

#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// The URL of the store, for messages.
    fn location(&self) -> String;

    /// Checks that the store can be read.
    async fn probe(&self) -> Result<(), StorageError>;

    /// Whether an object that can be read is durable. On a disk it becomes durable when its directory is
    /// synced, so reading it does not prove that a create succeeded.
    fn visible_is_durable(&self) -> bool;

    /// Creates the object unless it exists. On success the object is durable. After an error it may exist
    /// or not.
    async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StorageError>;

    /// Reads a small object.
    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StorageError>;

    /// Overwrites a damaged object with its original content.
    async fn repair(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError>;

    /// Makes every object that can be seen in the directory of `key` durable.
    async fn make_durable(&self, key: &Key) -> Result<(), StorageError>;

    /// Deletes the object. Succeeds if it does not exist.
    async fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// Lists at most `limit` names directly below `prefix`: objects after `after`, in byte order;
    /// directories in any order.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError>;

    /// Begins an object of any size, under a key that no other writer uses. It can be read when it is
    /// finished.
    async fn begin(&self, key: &Key) -> Result<Box<dyn Writer>, StorageError>;

    /// Opens an object of any size to read `range`, which must lie within it, or all of it.
    async fn open(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<Option<Chunks>, StorageError>;

    /// Counts unfinished uploads to which nothing was written for `age`, and deletes them if `deletes`.
    async fn sweep(&self, age: Duration, deletes: bool) -> Result<u64, StorageError>;
}

/// Reads a range of an object that a log references.
pub(super) async fn read_range(
    store: &Arc<dyn Store>,
    key: &Key,
    range: Range<u64>,
) -> Result<Chunks, StorageError> {
    let found = store.open(key, Some(range)).await?;
    found.ok_or_else(|| StorageError::missing(key))
}

/// An object being written.
#[async_trait]
pub(crate) trait Writer: std::fmt::Debug + Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError>;

    /// Makes the object durable and readable.
    async fn finish(self: Box<Self>) -> Result<(), StorageError>;

    /// Removes what was written, as far as possible.
    async fn abort(self: Box<Self>);
}
