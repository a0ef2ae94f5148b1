//! Contents of config layers. The logs hold them; those that were read last stay in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use repository_api::release::LayerName;

use crate::domain::state::HasLayers;
use crate::domain::state::layers::Generation;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::storage::{Storage, StorageError};

/// Maximum bytes in memory.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Contents(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    contents: HashMap<(Owner, u64, LayerName), String>,
    bytes: usize,
}

impl Contents {
    /// The content of a generation of `layer` in the log of `owner`.
    pub(super) async fn get<S: HasLayers>(
        &self,
        storage: &Storage,
        owner: &Owner,
        layer: &LayerName,
        generation: &Generation,
    ) -> Result<String, StorageError> {
        let key = (owner.clone(), generation.entry, layer.clone());
        if let Some(content) = self.cached().contents.get(&key) {
            return Ok(content.clone());
        }
        let entry: Option<Entry<S::Event>> = storage.entry(owner, generation.entry).await?;
        let content = entry
            .into_iter()
            .flat_map(|entry| entry.events)
            .find_map(|event| S::content(event, layer, generation.sha256))
            .ok_or_else(|| StorageError::Missing {
                key: format!("layer {layer} in entry {} of {owner}", generation.entry),
            })?;
        let mut cached = self.cached();
        // Dropping everything is simple, and rare: most repositories hold less.
        if cached.bytes + content.len() > MAX_BYTES {
            *cached = Cached::default();
        }
        cached.bytes += content.len();
        cached.contents.insert(key, content.clone());
        Ok(content)
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
