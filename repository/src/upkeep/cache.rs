//! The cache in front of a remote store: opened at the start, or once another process releases its directory.

use std::path::PathBuf;
use std::time::Duration;

use crate::storage::Storage;
use crate::storage::cache::Cache;

/// How often to try to open the directory.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Opens a cache of up to `size` bytes. Until it can be opened, artefacts come from the store.
pub(crate) fn open(storage: &Storage, directory: PathBuf, size: u64) {
    let error = match Cache::open(&directory, size) {
        Ok(cache) => return storage.use_cache(cache),
        Err(error) => error,
    };
    tracing::warn!(
        %error,
        directory = %directory.display(),
        "failed to open the cache: artefacts come from the store until the directory is usable; REPOSITORY_CACHE sets another directory, REPOSITORY_CACHE_SIZE=0 turns the cache off"
    );
    let storage = storage.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(RETRY_INTERVAL).await;
            if let Ok(cache) = Cache::open(&directory, size) {
                tracing::info!("the cache is open now");
                return storage.use_cache(cache);
            }
        }
    });
}
