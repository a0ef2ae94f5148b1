//! Storage on a disk or on S3, built on one primitive: *create this object unless it exists*.
//!
//! - [`store`]: the interface, which [`disk`] and [`s3`] implement
//! - [`proof`]: checks at start that the store honours that primitive
//! - [`log`]: numbered entries, one log per app; [`entry`]: their format, in which a flipped bit is found
//! - [`blob`]: bytes of any size, each upload under its own key
//! - [`cache`]: S3 blobs on a local disk; [`file`]: how the bytes of a file are read
//! - [`keys`]: the layout of the store
//!
//! A success means that the data is durable.

pub(crate) mod blob;
pub(crate) mod cache;
mod disk;
pub(crate) mod entry;
mod file;
pub(crate) mod keys;
pub(crate) mod log;
mod proof;
mod s3;
pub(crate) mod store;
#[cfg(test)]
mod suite;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache::Cache;
use disk::Disk;
use keys::{BlobId, Key, Owner};
use repository_api::{AppName, Digest};
use s3::S3;
use store::{Listed, Store};

/// The store that `REPOSITORY_STORAGE` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Directory(PathBuf),
    Bucket { bucket: String, prefix: String },
}

#[derive(Debug, Clone)]
pub(crate) struct Storage {
    store: Arc<dyn Store>,
    /// Set at start, or when another process releases the cache's directory.
    cache: Arc<OnceLock<Arc<Cache>>>,
}

/// Whether an app is in the list of apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registered(pub(crate) bool);

/// A blob, with the size and digest of its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located {
    pub(crate) id: BlobId,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("failed to open the storage directory {path:?}: create it, or set REPOSITORY_STORAGE")]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path:?} contains no repository: set REPOSITORY_STORAGE to the directory of one")]
    NoRepository { path: PathBuf },
    #[error(
        "failed to open the storage directory {path:?}: another repository uses it; stop that repository first"
    )]
    InUse { path: PathBuf },
    #[error("failed to set up access to the bucket {bucket:?}: check the AWS_ variables")]
    Bucket {
        bucket: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "failed to use the storage at {location}: check that it exists and can be read and written (on S3: the bucket, its permissions, the AWS_ variables)"
    )]
    Unusable {
        location: String,
        source: Box<StorageError>,
    },
    #[error("the storage at {location} cannot hold a repository: {reason}")]
    Unfit { location: String, reason: String },
    #[error("failed to {operation} {key}")]
    Object {
        operation: &'static str,
        key: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{key} is damaged: {reason}; restore it from a backup")]
    Damaged { key: String, reason: String },
    #[error("{key} is missing, but a log references it: restore it from a backup")]
    Missing { key: String },
}

impl StorageError {
    fn object(
        operation: &'static str,
        key: &Key,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Object {
            operation,
            key: key.to_string(),
            source: source.into(),
        }
    }

    fn listing(prefix: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Object {
            operation: "list",
            key: prefix.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn missing(key: &Key) -> Self {
        Self::Missing {
            key: key.to_string(),
        }
    }

    fn damaged(key: &Key, reason: impl Into<String>) -> Self {
        Self::Damaged {
            key: key.to_string(),
            reason: reason.into(),
        }
    }

    /// Whether the store has no room left (ENOSPC, EDQUOT).
    pub(crate) fn is_full(&self) -> bool {
        let mut source = self.source();
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                use std::io::ErrorKind::{QuotaExceeded, StorageFull};
                return matches!(io.kind(), StorageFull | QuotaExceeded);
            }
            source = error.source();
        }
        false
    }

    /// The error and its sources in one line, for the log.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

impl Storage {
    /// Opens the store for a server, and checks that it creates objects once.
    pub(crate) async fn open(location: &Location) -> Result<Self, StorageError> {
        let store: Arc<dyn Store> = match location {
            Location::Directory(root) => Arc::new(Disk::open(root).await?),
            Location::Bucket { bucket, prefix } => Arc::new(S3::open(bucket, prefix)?),
        };
        proof::prove(&store).await?;
        Ok(Self::new(store))
    }

    /// Opens the store for a command, which may run beside a server.
    pub(crate) fn open_for_command(
        location: &Location,
        create_if_missing: bool,
    ) -> Result<Self, StorageError> {
        let store: Arc<dyn Store> = match location {
            Location::Directory(root) => Arc::new(Disk::open_for_command(root, create_if_missing)?),
            Location::Bucket { bucket, prefix } => Arc::new(S3::open(bucket, prefix)?),
        };
        Ok(Self::new(store))
    }

    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            cache: Arc::default(),
        }
    }

    /// Sets the cache, unless one is set.
    pub(crate) fn use_cache(&self, cache: Cache) {
        let _ = self.cache.set(Arc::new(cache));
    }

    /// The URL of the store, for messages.
    pub(crate) fn location(&self) -> String {
        self.store.location()
    }

    /// Lists at most `limit` names of apps after `after`, in order.
    pub(crate) async fn names(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let listed = self.store.list(keys::NAMES, after, limit).await?;
        Ok(listed.into_iter().map(|Listed { name, .. }| name).collect())
    }

    /// Adds an app to the list of apps.
    pub(crate) async fn register(&self, app: &AppName) -> Result<(), StorageError> {
        let key = keys::name(app);
        self.store.create(&key, Bytes::new()).await?;
        self.store.make_durable(&key).await
    }

    /// Counts leftovers of starts and uploads that are older than `age`, and deletes them if `deletes`.
    pub(crate) async fn sweep(&self, age: Duration, deletes: bool) -> Result<u64, StorageError> {
        let mut swept = self.store.sweep(age, deletes).await?;
        let now = SystemTime::now();
        for Listed { name, .. } in self.store.list(keys::PROOFS, None, usize::MAX).await? {
            if let Ok(id) = name.parse::<BlobId>()
                && id.age(now) >= age
            {
                swept += 1;
                if deletes {
                    self.store.delete(&keys::proof(id)).await?;
                }
            }
        }
        Ok(swept)
    }

    /// Checks that the store can be read.
    pub(crate) async fn probe(&self) -> Result<(), StorageError> {
        self.store.probe().await
    }

    /// Lists the owners of logs. An app that is not in the list of apps has no log yet, or is being imported.
    pub(crate) async fn owners(&self) -> Result<BTreeMap<Owner, Registered>, StorageError> {
        let names = self.store.list(keys::NAMES, None, usize::MAX).await?;
        let names = names
            .into_iter()
            .filter_map(|found| found.name.parse().ok());
        let mut owners: BTreeMap<Owner, Registered> =
            names.map(|owner| (owner, Registered(true))).collect();
        for owner in self.logs().await? {
            owners.entry(owner).or_insert(Registered(false));
        }
        Ok(owners)
    }

    async fn logs(&self) -> Result<Vec<Owner>, StorageError> {
        let listed = self.store.list(keys::APPS, None, usize::MAX).await?;
        let owner = |Listed { name, .. }| {
            let owner = name.parse().ok();
            if owner.is_none() {
                tracing::warn!(name, "ignoring an object that belongs to no app");
            }
            owner
        };
        Ok(listed.into_iter().filter_map(owner).collect())
    }
}
