//! The state of the default layer, which lies under every app.

use repository_api::Digest;
use repository_api::release::LayerName;

use super::layers::{Generation, Layers};
use super::{HasLayers, LogState};
use crate::domain::event::DefaultLayerEvent;
use crate::storage::entry::Entry;

#[derive(Debug, Default)]
pub(crate) struct DefaultLayerState {
    position: u64,
    pub(crate) layers: Layers,
}

impl LogState for DefaultLayerState {
    type Event = DefaultLayerEvent;

    fn position(&self) -> u64 {
        self.position
    }

    fn config(event: &DefaultLayerEvent) -> Option<(&LayerName, Digest, &str)> {
        let DefaultLayerEvent::Configure {
            layer,
            sha256,
            content,
        } = event;
        Some((layer, *sha256, content))
    }

    fn record(&mut self, entry: Entry<DefaultLayerEvent>) {
        self.position = entry.number;
        let by = entry.by.into();
        for DefaultLayerEvent::Configure { layer, sha256, .. } in entry.events {
            let generation = Generation {
                sha256,
                entry: entry.number,
                by: std::sync::Arc::clone(&by),
                created: entry.created.clone(),
            };
            self.layers.push(layer, generation);
        }
    }
}

impl HasLayers for DefaultLayerState {
    fn layers(&self) -> &Layers {
        &self.layers
    }

    fn configure(layer: LayerName, sha256: Digest, content: String) -> DefaultLayerEvent {
        DefaultLayerEvent::Configure {
            layer,
            sha256,
            content,
        }
    }
}
