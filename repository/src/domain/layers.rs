//! Contents of config layers: they lie in the logs, and those that were read last are kept in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use repository_api::release::LayerName;

use crate::domain::catalogue::{Event, Generation};
use crate::http::failure::Failure;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::storage::{Storage, StorageError};

/// Bytes that are kept.
const ROOM: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct Layers {
    storage: Storage,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    contents: HashMap<(Owner, u64, LayerName), String>,
    bytes: usize,
}

impl Layers {
    pub(crate) fn new(storage: Storage) -> Self {
        Self {
            storage,
            kept: Mutex::default(),
        }
    }

    /// What was written as this generation of `layer`.
    pub(crate) async fn content(
        &self,
        owner: &Owner,
        layer: &LayerName,
        generation: Generation,
    ) -> Result<String, Failure> {
        let name = (owner.clone(), generation.entry, layer.clone());
        if let Some(content) = self.kept().contents.get(&name) {
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
        let mut kept = self.kept();
        // All at once, and seldom: most repositories never come here.
        if kept.bytes + content.len() > ROOM {
            *kept = Kept::default();
        }
        kept.bytes += content.len();
        kept.contents.insert(name, content.clone());
        Ok(content)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
