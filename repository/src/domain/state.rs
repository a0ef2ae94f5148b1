//! The states that logs lead to, by kind of log: [`app`] with its [`version`]s, [`default_layer`], [`tokens`]. An app
//! and the default layer have [`layers`].

pub(crate) mod app;
pub(crate) mod default_layer;
pub(crate) mod layers;
pub(crate) mod tokens;
pub(crate) mod version;

use std::fmt::Debug;

use repository_api::Digest;
use repository_api::release::LayerName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::entry::Entry;
use layers::Layers;

/// The state of one kind of log.
pub(crate) trait LogState: Debug + Default + Send + Sync + 'static {
    type Event: Clone + Debug + Serialize + DeserializeOwned + Send + Sync;

    /// The number of the last applied entry; 0 for an empty log.
    fn position(&self) -> u64;

    /// Applies the events of an entry and takes its number as the position.
    fn record(&mut self, entry: Entry<Self::Event>);

    /// Layer, digest and content of the config in an event, if it writes one.
    fn config(_event: &Self::Event) -> Option<(&LayerName, Digest, &str)> {
        None
    }

    fn is_empty(&self) -> bool {
        self.position() == 0
    }

    /// Applies the next entry. An entry applied earlier changes nothing. After a gap, returns the number of the
    /// missing entry.
    fn apply(&mut self, entry: Entry<Self::Event>) -> Result<(), u64> {
        let next = self.position() + 1;
        if entry.number > next {
            return Err(next);
        }
        if entry.number == next {
            self.record(entry);
        }
        Ok(())
    }
}

/// The state of a log that holds layers of config.
pub(crate) trait HasLayers: LogState {
    fn layers(&self) -> &Layers;

    /// The event that writes the next generation of a layer.
    fn configure(layer: LayerName, sha256: Digest, content: String) -> Self::Event;
}
