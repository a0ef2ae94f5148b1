//! An app's records, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use repository_api::release::{Artefact, LayerName, LayerPin, Statement};
use repository_api::{ChannelName, Digest, FileName, VersionName};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ArtefactRecord {
    pub(crate) blob: String,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    pub(crate) created: String,
}

/// The files of a version, once and for all. Whatever is not in it is not part of the version, even
/// where a record was created at the same moment: that is what makes sealing one atomic step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SealRecord {
    pub(crate) files: BTreeSet<FileName>,
    pub(crate) created: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct YankRecord {
    pub(crate) yanked: bool,
    pub(crate) created: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) content: String,
    pub(crate) sha256: Digest,
    pub(crate) created: String,
}

/// Shows no content: it may hold secrets.
impl std::fmt::Debug for LayerRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerRecord")
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReleaseRecord {
    /// The statement's text, byte for byte what is served and signed.
    pub(crate) statement: String,
    pub(crate) created: String,
}

/// A release's signature: the file as minisign wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignatureRecord {
    pub(crate) minisig: String,
    pub(crate) created: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MoveRecord {
    pub(crate) release: u64,
    pub(crate) from: Option<u64>,
    /// Who moved it.
    pub(crate) by: String,
    pub(crate) created: String,
}

#[derive(Debug, Clone)]
pub(crate) struct ReleaseEntry {
    pub(crate) text: String,
    pub(crate) statement: Statement,
    pub(crate) created: String,
}

#[derive(Debug, Default)]
pub(crate) struct AppState {
    pub(crate) versions: BTreeMap<VersionName, VersionState>,
    /// The digest of each generation; the contents may be large and stay in the store.
    pub(crate) layers: BTreeMap<LayerName, BTreeMap<u64, Digest>>,
    pub(crate) releases: BTreeMap<u64, ReleaseEntry>,
    pub(crate) channels: BTreeMap<ChannelName, BTreeMap<u64, MoveRecord>>,
}

#[derive(Debug, Default)]
pub(crate) struct VersionState {
    files: BTreeMap<FileName, ArtefactRecord>,
    seal: Option<SealRecord>,
    yanks: BTreeMap<u64, YankRecord>,
}

impl AppState {
    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.versions.values().all(VersionState::is_empty)
    }

    pub(crate) fn version(&self, version: &VersionName) -> Option<&VersionState> {
        self.versions.get(version).filter(|state| !state.is_empty())
    }

    /// The greatest version that is neither a pre-release nor yanked.
    pub(crate) fn latest(&self) -> Option<&VersionName> {
        let eligible = |(version, state): &(&VersionName, &VersionState)| {
            !version.is_prerelease() && !state.is_yanked() && !state.is_empty()
        };
        self.versions
            .iter()
            .rev()
            .find(eligible)
            .map(|(version, _)| version)
    }

    /// The newest generation of a layer.
    pub(crate) fn newest(&self, layer: &LayerName) -> Option<(u64, Digest)> {
        let (number, digest) = self.layers.get(layer)?.last_key_value()?;
        Some((*number, *digest))
    }

    /// The newest generation of every layer, as a statement pins them.
    pub(crate) fn pins(&self) -> Vec<LayerPin> {
        self.layers
            .keys()
            .filter_map(|layer| {
                let (generation, sha256) = self.newest(layer)?;
                Some(LayerPin {
                    layer: layer.clone(),
                    generation,
                    sha256,
                })
            })
            .collect()
    }

    pub(crate) fn add_generation(&mut self, layer: LayerName, number: u64, record: &LayerRecord) {
        self.layers
            .entry(layer)
            .or_default()
            .insert(number, record.sha256);
    }

    pub(crate) fn environments(&self) -> Vec<&str> {
        let environment = |layer: &LayerName| matches!(layer, LayerName::Environment(_));
        self.layers
            .keys()
            .filter(|layer| environment(layer))
            .map(LayerName::as_str)
            .collect()
    }

    /// A channel whose release is one of `version`.
    pub(crate) fn channel_that_names(&self, version: &VersionName) -> Option<&ChannelName> {
        self.channels.keys().find(|channel| {
            self.channel(channel)
                .and_then(|(_, entry)| self.releases.get(&entry.release))
                .is_some_and(|release| release.statement.version == *version)
        })
    }

    /// Where a channel points: the number of its newest move, and the move.
    pub(crate) fn channel(&self, channel: &ChannelName) -> Option<(u64, &MoveRecord)> {
        self.channels
            .get(channel)?
            .last_key_value()
            .map(|(number, entry)| (*number, entry))
    }
}

impl VersionState {
    pub(crate) fn is_empty(&self) -> bool {
        self.files().next().is_none()
    }

    /// The files that are part of the version.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&FileName, &ArtefactRecord)> {
        self.files
            .iter()
            .filter(|(file, _)| self.has_room_for(file))
    }

    pub(crate) fn file(&self, file: &FileName) -> Option<&ArtefactRecord> {
        self.files.get(file).filter(|_| self.has_room_for(file))
    }

    /// Whether `file` is, or may still become, part of the version.
    pub(crate) fn has_room_for(&self, file: &FileName) -> bool {
        self.seal
            .as_ref()
            .is_none_or(|seal| seal.files.contains(file))
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    pub(crate) fn is_yanked(&self) -> bool {
        self.yanks
            .last_key_value()
            .is_some_and(|(_, entry)| entry.yanked)
    }

    pub(crate) fn artefacts(&self) -> Vec<Artefact> {
        self.files()
            .map(|(file, record)| Artefact {
                file: file.clone(),
                size: record.size,
                sha256: record.sha256,
            })
            .collect()
    }

    pub(crate) fn next_yank(&self) -> u64 {
        self.yanks
            .last_key_value()
            .map_or(1, |(number, _)| number + 1)
    }

    pub(crate) fn add_file(&mut self, file: FileName, record: ArtefactRecord) {
        self.files.insert(file, record);
    }

    pub(crate) fn set_seal(&mut self, seal: SealRecord) {
        self.seal = Some(seal);
    }

    pub(crate) fn add_yank(&mut self, number: u64, record: YankRecord) {
        self.yanks.insert(number, record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ArtefactRecord {
        ArtefactRecord {
            blob: "1".into(),
            size: 1,
            sha256: Digest::new([0; 32]),
            created: String::new(),
        }
    }

    fn with_versions(versions: &[&str]) -> AppState {
        let mut state = AppState::default();
        for version in versions {
            let entry = state.versions.entry(version.parse().unwrap()).or_default();
            entry.add_file("a.tar.gz".parse().unwrap(), record());
        }
        state
    }

    #[test]
    fn latest_is_neither_prerelease_nor_yanked() {
        let mut state = with_versions(&["1.9.0", "1.10.0", "2.0.0-rc.1"]);
        assert_eq!(state.latest().map(VersionName::as_str), Some("1.10.0"));
        let yank = |yanked| YankRecord {
            yanked,
            created: String::new(),
        };
        let newest = state.versions.get_mut(&"1.10.0".parse().unwrap()).unwrap();
        newest.add_yank(1, yank(true));
        assert_eq!(state.latest().map(VersionName::as_str), Some("1.9.0"));
        let newest = state.versions.get_mut(&"1.10.0".parse().unwrap()).unwrap();
        newest.add_yank(2, yank(false));
        assert_eq!(state.latest().map(VersionName::as_str), Some("1.10.0"));
    }

    #[test]
    fn a_seal_decides_what_is_part_of_a_version() {
        let mut version = VersionState::default();
        let (first, late): (FileName, FileName) =
            ("a.tgz".parse().unwrap(), "late.tgz".parse().unwrap());
        version.add_file(first.clone(), record());
        version.set_seal(SealRecord {
            files: BTreeSet::from([first.clone()]),
            created: String::new(),
        });
        version.add_file(late.clone(), record());
        assert!(version.file(&first).is_some());
        assert!(version.file(&late).is_none());
        assert_eq!(version.artefacts().len(), 1);
    }
}
