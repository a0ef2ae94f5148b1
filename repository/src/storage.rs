//! Storage: one primitive, *create this object unless it exists*, on an object store.
//!
//! - [`blob`]: bytes of any size, each upload under a key of its own
//! - [`record`]: small JSON documents that are created once; a blob without a record is invisible
//! - [`log`]: records numbered from 1, entry n+1 created next to n
//! - [`keys`]: where everything lies
//! - [`disk`]: what a local disk needs besides
//!
//! A success means durable: `object_store` syncs the file and its directories first.

pub(crate) mod blob;
mod disk;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod record;

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use disk::Disk;
use record::Created;

#[derive(Debug, Clone)]
pub(crate) struct Storage {
    objects: Arc<dyn ObjectStore>,
    /// Held as long as the store is used.
    _disk: Arc<Disk>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("failed to open the storage directory {path:?}: create it, or set REPOSITORY_STORAGE")]
    Open {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error(
        "failed to open the storage directory {path:?}: another repository uses it; stop that one first"
    )]
    InUse { path: std::path::PathBuf },
    #[error(
        "the storage does not tell who created an object first, so two publishers could both win: use another file system"
    )]
    NoCreate,
    #[error("failed to {operation} {key}")]
    Object {
        operation: &'static str,
        key: String,
        source: object_store::Error,
    },
    #[error("failed to read {key}: not the JSON that was written there")]
    Damaged {
        key: String,
        source: serde_json::Error,
    },
    #[error("failed to read {key}: the object is named by a record but is not there")]
    Missing { key: String },
}

impl StorageError {
    /// Whether the store has no room left (ENOSPC, EDQUOT).
    pub(crate) fn is_full(&self) -> bool {
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                use std::io::ErrorKind::{QuotaExceeded, StorageFull};
                return matches!(io.kind(), StorageFull | QuotaExceeded);
            }
            source = error.source();
        }
        false
    }

    /// The whole chain in one line, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

impl Storage {
    /// Opens a store on a local disk: takes it for this process alone, sweeps what a crash left, and
    /// proves that it keeps the one promise on which everything rests.
    pub(crate) async fn open(root: &FilePath) -> Result<Self, StorageError> {
        let disk = Disk::open(root).await?;
        let local = LocalFileSystem::new_with_prefix(root)
            .map_err(|error| StorageError::Open {
                path: root.to_owned(),
                source: error.into(),
            })?
            .with_fsync(true);
        let storage = Self {
            objects: Arc::new(local),
            _disk: Arc::new(disk),
        };
        storage.prove().await?;
        Ok(storage)
    }

    /// Of two creates of one object the second must be told that it exists.
    async fn prove(&self) -> Result<(), StorageError> {
        let key = keys::proof(&uuid::Uuid::now_v7().simple().to_string());
        let first = self.create(&key, &"proof").await?;
        let second = self.create(&key, &"proof").await?;
        self.delete(&key).await?;
        match (first, second) {
            (Created::Now, Created::Already) => Ok(()),
            _ => Err(StorageError::NoCreate),
        }
    }

    /// Every key below `prefix`.
    pub(crate) async fn keys(&self, prefix: &Path) -> Result<Vec<Path>, StorageError> {
        use futures_util::TryStreamExt as _;
        self.objects
            .list(Some(prefix))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(|source| failed("list", prefix, source))
    }

    /// The names right below `prefix`.
    pub(crate) async fn children(&self, prefix: &Path) -> Result<Vec<String>, StorageError> {
        let result = self
            .objects
            .list_with_delimiter(Some(prefix))
            .await
            .map_err(|source| failed("list", prefix, source))?;
        Ok(result
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect())
    }

    async fn delete(&self, key: &Path) -> Result<(), StorageError> {
        match self.objects.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed("delete", key, source)),
        }
    }
}

fn failed(operation: &'static str, key: &Path, source: object_store::Error) -> StorageError {
    StorageError::Object {
        operation,
        key: key.to_string(),
        source,
    }
}
