//! Small JSON documents, created once and never changed.

use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Storage, StorageError, failed};

/// What came of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    Now,
    /// Somebody was there first; nothing was written.
    Already,
}

impl Storage {
    /// Creates the record unless it exists. On success it is durable; after an error it may be
    /// there or not, and publishing the same again finds out.
    pub(crate) async fn create<T: Serialize>(
        &self,
        key: &Path,
        record: &T,
    ) -> Result<Created, StorageError> {
        let bytes = serde_json::to_vec(record).map_err(|source| StorageError::Damaged {
            key: key.to_string(),
            source,
        })?;
        let payload = PutPayload::from(bytes);
        match self
            .objects
            .put_opts(key, payload, PutMode::Create.into())
            .await
        {
            Ok(_) => Ok(Created::Now),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Already),
            Err(source) => Err(failed("create", key, source)),
        }
    }

    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        key: &Path,
    ) -> Result<Option<T>, StorageError> {
        let result = match self.objects.get(key).await {
            Ok(result) => result,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed("read", key, source)),
        };
        let bytes = result
            .bytes()
            .await
            .map_err(|source| failed("read", key, source))?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StorageError::Damaged {
                key: key.to_string(),
                source,
            })
    }

    /// A record that another record names.
    pub(crate) async fn read_named<T: DeserializeOwned>(
        &self,
        key: &Path,
    ) -> Result<T, StorageError> {
        self.read(key).await?.ok_or_else(|| StorageError::Missing {
            key: key.to_string(),
        })
    }
}
