//! What a store must be able to do. One primitive carries everything: *create this object unless it
//! exists*. Every implementation passes the same suite of tests (`suite.rs`).

use std::io;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::StorageError;
use super::keys::Key;

/// What came of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    Now,
    /// Somebody was there first, or is just about to be; nothing was written.
    Already,
}

/// Bytes as they come.
pub(crate) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// Bytes of a blob, whole or as they come.
pub(crate) enum Content {
    Whole(Bytes),
    Stream(Chunks),
}

/// What lies in the store under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Bytes, of an object.
    pub(crate) size: u64,
}

#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Where it is, for people.
    fn location(&self) -> String;

    /// Whether it can be read from just now.
    async fn answers(&self) -> Result<(), StorageError>;

    /// Whether an object that can be read is also durable. On a disk it is not until its directory was
    /// synced; then an answer that was lost must not be taken from what is seen.
    fn visible_is_durable(&self) -> bool;

    /// Creates the object unless it exists. On success it is durable; after an error it may be there
    /// or not.
    async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StorageError>;

    /// The whole of a small object.
    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StorageError>;

    /// Puts the same content in the place of one that was damaged.
    async fn mend(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError>;

    /// Makes sure that what is seen next to `key` is durable.
    async fn settle(&self, key: &Key) -> Result<(), StorageError>;

    /// What is not there is deleted already.
    async fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// The names right below `prefix`, `limit` at the most: objects in the order of their bytes and after
    /// `after`; directories in any order.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError>;

    /// Begins an object of any size, under a key that nobody else has. It cannot be read before its end.
    async fn begin(&self, key: &Key) -> Result<Box<dyn Writer>, StorageError>;

    /// `range` of an object of any size, which must lie within it.
    async fn open(&self, key: &Key, range: Range<u64>) -> Result<Option<Content>, StorageError>;

    /// All of an object of any size, read anew: what cannot be read is an error of the stream.
    async fn stream(&self, key: &Key) -> Result<Option<Chunks>, StorageError>;

    /// Counts, and if told to deletes, uploads that were cut off, as far as they are no objects: those to
    /// which nobody wrote for `age`.
    async fn sweep(&self, age: Duration, deletes: bool) -> Result<u64, StorageError>;

    /// No bytes of the object need be kept at hand any more.
    fn forget(&self, key: &Key);
}

/// An object being written.
#[async_trait]
pub(crate) trait Writer: std::fmt::Debug + Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError>;

    /// Makes it durable, and readable.
    async fn finish(self: Box<Self>) -> Result<(), StorageError>;

    /// Leaves nothing behind, as far as that is possible.
    async fn abort(self: Box<Self>);
}
