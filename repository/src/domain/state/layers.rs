//! Layers of config, each with its generations.

use std::collections::BTreeMap;
use std::sync::Arc;

use repository_api::Digest;
use repository_api::release::{LayerName, LayerPin};

/// A generation of a layer. Its content may be large, and stays in the log.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) sha256: Digest,
    /// The number of the entry that holds the content.
    pub(crate) entry: u64,
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

/// The generations of each layer, from generation 1 on.
#[derive(Debug, Default)]
pub(crate) struct Layers(BTreeMap<LayerName, Vec<Generation>>);

impl Layers {
    pub(super) fn push(&mut self, layer: LayerName, generation: Generation) {
        self.0.entry(layer).or_default().push(generation);
    }

    /// Number and digest of the newest generation.
    pub(crate) fn newest(&self, layer: &LayerName) -> Option<(u64, Digest)> {
        let generations = self.0.get(layer)?;
        Some((generations.len() as u64, generations.last()?.sha256))
    }

    pub(crate) fn generation(&self, layer: &LayerName, number: u64) -> Option<Generation> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.0.get(layer)?.get(index).cloned()
    }

    /// The generations of a layer, oldest first.
    pub(crate) fn generations(&self, layer: &LayerName) -> &[Generation] {
        self.0.get(layer).map_or(&[], Vec::as_slice)
    }

    /// Up to `limit` generations below number `before`, with their numbers, newest first.
    pub(crate) fn newest_before(
        &self,
        layer: &LayerName,
        before: u64,
        limit: usize,
    ) -> Vec<(u64, Generation)> {
        let written = self.generations(layer);
        (1..=written.len() as u64)
            .rev()
            .zip(written.iter().rev())
            .filter(|(number, _)| *number < before)
            .take(limit)
            .map(|(number, written)| (number, written.clone()))
            .collect()
    }

    /// The newest generation of every layer, as a statement pins them.
    pub(crate) fn pins(&self) -> Vec<LayerPin> {
        let pin = |layer: &LayerName| {
            let (generation, sha256) = self.newest(layer)?;
            Some(LayerPin {
                layer: layer.clone(),
                generation,
                sha256,
            })
        };
        self.0.keys().filter_map(pin).collect()
    }

    pub(crate) fn environments(&self) -> Vec<&str> {
        let environment = |layer: &&LayerName| matches!(layer, LayerName::Environment(_));
        let names = self.0.keys().filter(environment);
        names.map(LayerName::as_str).collect()
    }
}
