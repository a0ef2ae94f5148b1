//! Storage: one primitive, *create this object unless it exists*, on a disk or on S3.
//!
//! - [`store`]: what a store must be able to do; [`disk`] and [`s3`] can
//! - [`proof`]: that this one really can, before anything rests on it
//! - [`log`]: entries numbered from 1, one log an app, entry n+1 created next to n; [`entry`]: how one
//!   is written, so that a flipped bit is found
//! - [`blob`]: bytes of any size, each upload under a key of its own
//! - [`cache`]: in front of a store that is far away
//! - [`keys`]: where everything lies
//!
//! A success means durable.

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

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Directory(PathBuf),
    Bucket { bucket: String, prefix: String },
}

#[derive(Debug, Clone)]
pub(crate) struct Storage {
    store: Arc<dyn Store>,
    /// There from the start, or when another process has left it.
    cache: Arc<OnceLock<Arc<Cache>>>,
}

/// Whether an app is on the list of apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Enlisted(pub(crate) bool);

/// A blob, and what its bytes must be.
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
    #[error(
        "{path:?} holds no repository: REPOSITORY_STORAGE names the directory in which one is kept"
    )]
    NoRepository { path: PathBuf },
    #[error(
        "failed to open the storage directory {path:?}: another repository uses it; stop that one first"
    )]
    InUse { path: PathBuf },
    #[error("failed to set up access to the bucket {bucket:?}: look at the AWS_ variables")]
    Bucket {
        bucket: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "the storage at {location} cannot be used: see that it is there, and may be read and written (for S3: the bucket, its permissions, the AWS_ variables)"
    )]
    Unusable {
        location: String,
        source: Box<StorageError>,
    },
    #[error("the storage at {location} is not fit: {reason}")]
    Unfit { location: String, reason: String },
    #[error("failed to {operation} {key}")]
    Object {
        operation: &'static str,
        key: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{key} is damaged: {reason}; restore it from a backup")]
    Damaged { key: String, reason: String },
    #[error("{key} is not there, though a log names it: restore it from a backup")]
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

    /// The whole chain in one line, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

impl Storage {
    /// For a server: proves that the store keeps the one promise on which everything rests.
    pub(crate) async fn open(location: &Location) -> Result<Self, StorageError> {
        let store: Arc<dyn Store> = match location {
            Location::Directory(root) => Arc::new(Disk::open(root).await?),
            Location::Bucket { bucket, prefix } => Arc::new(S3::open(bucket, prefix)?),
        };
        proof::prove(&store).await?;
        Ok(Self {
            store,
            cache: Arc::default(),
        })
    }

    /// For a command that runs beside a server.
    pub(crate) fn open_beside(location: &Location, may_be_new: bool) -> Result<Self, StorageError> {
        let store: Arc<dyn Store> = match location {
            Location::Directory(root) => Arc::new(Disk::open_beside(root, may_be_new)?),
            Location::Bucket { bucket, prefix } => Arc::new(S3::open(bucket, prefix)?),
        };
        Ok(Self {
            store,
            cache: Arc::default(),
        })
    }

    /// From now on what is far away is kept near.
    pub(crate) fn use_cache(&self, cache: Cache) {
        // There is one already, and it is as good.
        let _ = self.cache.set(Arc::new(cache));
    }

    /// For people.
    pub(crate) fn location(&self) -> String {
        self.store.location()
    }

    /// The names of apps after `after`, in order.
    pub(crate) async fn names(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let listed = self.store.list(keys::NAMES, after, limit).await?;
        Ok(listed.into_iter().map(|Listed { name, .. }| name).collect())
    }

    /// Puts an app on the list, if it is not there.
    pub(crate) async fn enlist(&self, app: &AppName) -> Result<(), StorageError> {
        let key = keys::name(app);
        self.store.create(&key, Bytes::new()).await?;
        self.store.make_durable(&key).await
    }

    /// Counts, and if told to deletes, what starts and uploads left that were cut off `age` ago.
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

    /// Whether it can be read from just now.
    pub(crate) async fn answers(&self) -> Result<(), StorageError> {
        self.store.answers().await
    }

    /// Whose logs there are, or should be: an app that is on the list has one. An app that is not has none yet,
    /// or one that is just being imported.
    pub(crate) async fn owners(&self) -> Result<BTreeMap<Owner, Enlisted>, StorageError> {
        let names = self.store.list(keys::NAMES, None, usize::MAX).await?;
        let names = names
            .into_iter()
            .filter_map(|found| found.name.parse().ok());
        let mut owners: BTreeMap<Owner, Enlisted> =
            names.map(|owner| (owner, Enlisted(true))).collect();
        for owner in self.logs().await? {
            owners.entry(owner).or_insert(Enlisted(false));
        }
        Ok(owners)
    }

    async fn logs(&self) -> Result<Vec<Owner>, StorageError> {
        let listed = self.store.list(keys::APPS, None, usize::MAX).await?;
        let owner = |Listed { name, .. }| {
            let owner = name.parse().ok();
            if owner.is_none() {
                tracing::warn!(
                    name,
                    "the store holds something that is no app's: it is ignored"
                );
            }
            owner
        };
        Ok(listed.into_iter().filter_map(owner).collect())
    }
}
