//! Logs: records numbered from 1. Entry n+1 is created next to n, so of two writers that saw the
//! same n one wins, and the other one looks again.

use object_store::path::Path;
use serde::Serialize;

use super::record::Created;
use super::{Storage, StorageError};

/// The key of entry `number`. Padded, so that keys sort as numbers do.
pub(crate) fn entry(log: &Path, number: u64) -> Path {
    log.clone().join(format!("{number:010}.json"))
}

/// The number in an entry's key; `None` where the key is no entry's.
pub(crate) fn number(key: &Path) -> Option<u64> {
    key.filename()?.strip_suffix(".json")?.parse().ok()
}

impl Storage {
    pub(crate) async fn append<T: Serialize>(
        &self,
        log: &Path,
        number: u64,
        record: &T,
    ) -> Result<Created, StorageError> {
        self.create(&entry(log, number), record).await
    }
}
