//! Contents of config layers. The logs hold them; the most recently read ones stay in memory, because a
//! release document needs all layers of an app, and on S3 each of them is a request.

use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use repository_api::release::LayerName;

use crate::catalogue::{Event, Generation};
use crate::failure::Failure;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::storage::{Storage, StorageError};

/// Bytes of contents in memory.
const MAX_BYTES: usize = 16 << 20;

/// A layer of an owner, and the log entry that wrote it.
type Address = (Owner, u64, LayerName);

#[derive(Debug)]
pub(crate) struct Layers {
    storage: Storage,
    contents: Mutex<Contents>,
}

#[derive(Debug)]
struct Contents {
    recent: LruCache<Address, String>,
    bytes: usize,
}

impl Contents {
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

impl Layers {
    pub(crate) fn new(storage: Storage) -> Self {
        Self {
            storage,
            contents: Mutex::new(Contents {
                recent: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    /// Reads a generation of `layer`.
    pub(crate) async fn content(
        &self,
        owner: &Owner,
        layer: &LayerName,
        generation: Generation,
    ) -> Result<String, Failure> {
        let address = (owner.clone(), generation.entry, layer.clone());
        if let Some(content) = self.contents().recent.get(&address) {
            return Ok(content.clone());
        }
        let entry: Option<Entry<Event>> = self.storage.entry(owner, generation.entry).await?;
        let mut written = entry.into_iter().flat_map(|entry| entry.events);
        let content = written
            .find_map(|event| match event {
                Event::Configure {
                    layer: of,
                    sha256,
                    content,
                } if of == *layer && sha256 == generation.sha256 => Some(content),
                _ => None,
            })
            .ok_or_else(|| StorageError::Missing {
                key: format!("layer {layer} in entry {} of {owner}", generation.entry),
            })?;
        self.contents().insert(address, content.clone());
        Ok(content)
    }

    fn contents(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_read_contents_are_evicted() {
        let address = |entry| (Owner::Default, entry, LayerName::Default);
        let mut contents = Contents {
            recent: LruCache::unbounded(),
            bytes: 0,
        };
        let half = "x".repeat(MAX_BYTES / 2);
        for entry in [1, 2, 2] {
            contents.insert(address(entry), half.clone());
        }
        assert!(contents.recent.get(&address(1)).is_some());
        contents.insert(address(3), half);
        assert!(contents.recent.get(&address(2)).is_none());
        assert!(contents.recent.get(&address(1)).is_some());
        assert_eq!(contents.bytes, MAX_BYTES);
    }
}
