//! Contents of config layers. The logs hold them. The most recently read ones stay in memory, because a release
//! document contains all layers of an app, and on S3 each read is a request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use repository_api::release::LayerName;

use crate::domain::state::LogState;
use crate::domain::state::layers::Generation;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::storage::{Storage, StorageError};

/// Maximum bytes in memory.
const MAX_BYTES: usize = 16 << 20;

/// A layer of an owner, and the log entry that wrote it.
type Address = (Owner, u64, LayerName);

#[derive(Debug, Default)]
pub(super) struct Contents(Mutex<Cache>);

#[derive(Debug)]
struct Cache {
    recent: LruCache<Address, String>,
    bytes: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            recent: LruCache::unbounded(),
            bytes: 0,
        }
    }
}

impl Cache {
    fn insert(&mut self, address: Address, content: String) {
        self.bytes += content.len();
        if let Some(replaced) = self.recent.put(address, content) {
            self.bytes -= replaced.len();
        }
        while self.bytes > MAX_BYTES
            && let Some((_, evicted)) = self.recent.pop_lru()
        {
            self.bytes -= evicted.len();
        }
    }
}

impl Contents {
    /// The content of a generation of `layer` in the log of `owner`.
    pub(super) async fn get<S: LogState>(
        &self,
        storage: &Storage,
        owner: &Owner,
        layer: &LayerName,
        generation: &Generation,
    ) -> Result<String, StorageError> {
        let address = (owner.clone(), generation.entry, layer.clone());
        if let Some(content) = self.cache().recent.get(&address) {
            return Ok(content.clone());
        }
        let entry: Option<Entry<S::Event>> = storage.entry(owner, generation.entry).await?;
        let content = entry
            .iter()
            .flat_map(|entry| &entry.events)
            .filter_map(S::config)
            .find(|(written, sha256, _)| *written == layer && *sha256 == generation.sha256)
            .map(|(.., content)| content.to_owned())
            .ok_or_else(|| StorageError::Missing {
                key: format!("layer {layer} in entry {} of {owner}", generation.entry),
            })?;
        self.cache().insert(address, content.clone());
        Ok(content)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_read_contents_are_evicted() {
        let address = |entry| (Owner::DefaultLayer, entry, LayerName::Default);
        let mut cache = Cache::default();
        let half = "x".repeat(MAX_BYTES / 2);
        for entry in [1, 2, 2] {
            cache.insert(address(entry), half.clone());
        }
        assert!(cache.recent.get(&address(1)).is_some());
        cache.insert(address(3), half);
        assert!(cache.recent.get(&address(2)).is_none());
        assert!(cache.recent.get(&address(1)).is_some());
        assert_eq!(cache.bytes, MAX_BYTES);
    }
}
