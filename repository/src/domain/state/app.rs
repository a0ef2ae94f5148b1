//! The state of an app.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use repository_api::release::{LayerName, Statement};
use repository_api::{ChannelName, Digest, FileName, VersionName};

use super::layers::{Generation, Layers};
use super::version::{ArtefactRecord, VersionState};
use super::{HasLayers, LogState};
use crate::domain::event::AppEvent;
use crate::domain::policy::Policy;
use crate::storage::entry::Entry;

#[derive(Debug, Clone)]
pub(crate) struct MoveRecord {
    pub(crate) release: u64,
    pub(crate) from: Option<u64>,
    /// The number of the entry that holds the move.
    pub(crate) entry: u64,
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

#[derive(Debug, Clone)]
pub(crate) struct ReleaseEntry {
    pub(crate) text: String,
    pub(crate) statement: Statement,
    pub(crate) minisig: Option<String>,
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

#[derive(Debug, Default)]
pub(crate) struct AppState {
    position: u64,
    pub(crate) versions: BTreeMap<VersionName, VersionState>,
    pub(crate) layers: Layers,
    pub(crate) releases: BTreeMap<u64, ReleaseEntry>,
    pub(crate) channels: BTreeMap<ChannelName, BTreeMap<u64, MoveRecord>>,
    /// Channels that take signed releases only.
    pub(crate) signed_only: BTreeSet<ChannelName>,
    pub(crate) policy: Policy,
    /// The size of all artefacts.
    pub(crate) bytes: u64,
    /// Time and author of the last entry.
    pub(crate) last: Option<(String, Arc<str>)>,
    /// Names of authors, which records share.
    authors: BTreeSet<Arc<str>>,
}

impl LogState for AppState {
    type Event = AppEvent;

    fn position(&self) -> u64 {
        self.position
    }

    fn config(event: &AppEvent) -> Option<(&LayerName, Digest, &str)> {
        match event {
            AppEvent::Configure {
                layer,
                sha256,
                content,
            } => Some((layer, *sha256, content)),
            _ => None,
        }
    }

    fn record(&mut self, entry: Entry<AppEvent>) {
        let Entry {
            number,
            created,
            by,
            events,
            ..
        } = entry;
        self.position = number;
        let by = self.author(&by);
        for event in events {
            self.apply_event(event, &created, &by);
        }
        self.last = Some((created, by));
    }
}

impl HasLayers for AppState {
    fn layers(&self) -> &Layers {
        &self.layers
    }

    fn configure(layer: LayerName, sha256: Digest, content: String) -> AppEvent {
        AppEvent::Configure {
            layer,
            sha256,
            content,
        }
    }
}

impl AppState {
    fn author(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.authors.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.authors.insert(Arc::clone(&name));
        name
    }

    fn apply_event(&mut self, event: AppEvent, created: &str, by: &Arc<str>) {
        match event {
            AppEvent::Publish {
                version,
                file,
                blob,
                size,
                sha256,
            } => {
                let record = ArtefactRecord {
                    blob,
                    size,
                    sha256,
                    by: Arc::clone(by),
                    created: created.to_owned(),
                };
                self.bytes += size;
                self.version_mut(version).insert(file, record);
            }
            AppEvent::Heal {
                version,
                file,
                blob,
            } => {
                let files = &mut self.version_mut(version).files;
                if let Some((_, record)) = files.iter_mut().find(|(name, _)| *name == file) {
                    record.blob = blob;
                }
            }
            AppEvent::Yank { version, yanked } => self.version_mut(version).yanked = yanked,
            AppEvent::Purge { version } => {
                let version = self.version_mut(version);
                version.purged = true;
                let files = std::mem::take(&mut version.files);
                self.bytes -= files.iter().map(|(_, record)| record.size).sum::<u64>();
            }
            AppEvent::Configure { layer, sha256, .. } => {
                let generation = Generation {
                    sha256,
                    entry: self.position,
                    by: Arc::clone(by),
                    created: created.to_owned(),
                };
                self.layers.push(layer, generation);
            }
            AppEvent::Release { statement: text } => self.add_release(text, created, by),
            AppEvent::Move { channel, release } => {
                let moves = self.channels.entry(channel).or_default();
                let (number, from) = match moves.last_key_value() {
                    None => (1, None),
                    Some((number, last)) => (number + 1, Some(last.release)),
                };
                let record = MoveRecord {
                    release,
                    from,
                    entry: self.position,
                    by: Arc::clone(by),
                    created: created.to_owned(),
                };
                moves.insert(number, record);
            }
            AppEvent::Restrict {
                channel,
                signed_only,
            } => {
                if signed_only {
                    self.signed_only.insert(channel);
                } else {
                    self.signed_only.remove(&channel);
                }
            }
            AppEvent::Sign { release, minisig } => {
                if let Some(entry) = self.releases.get_mut(&release) {
                    entry.minisig = Some(minisig);
                }
            }
            AppEvent::Retain { policy } => self.policy = policy,
        }
    }

    fn add_release(&mut self, text: String, created: &str, by: &Arc<str>) {
        let Ok(statement) = Statement::from_text(&text) else {
            // The entry has the right checksum, so another version of the server wrote it.
            tracing::error!("skipped a release whose statement cannot be read");
            return;
        };
        let Some(number) = statement.release else {
            return;
        };
        self.version_mut(statement.version.clone()).sealed = true;
        let entry = ReleaseEntry {
            text,
            statement,
            minisig: None,
            by: Arc::clone(by),
            created: created.to_owned(),
        };
        self.releases.insert(number, entry);
    }

    fn version_mut(&mut self, version: VersionName) -> &mut VersionState {
        self.versions.entry(version).or_default()
    }

    pub(crate) fn version(&self, version: &VersionName) -> Option<&VersionState> {
        self.versions.get(version).filter(|state| !state.is_empty())
    }

    pub(crate) fn is_purged(&self, version: &VersionName) -> bool {
        self.versions.get(version).is_some_and(|state| state.purged)
    }

    /// The greatest version that is neither a pre-release nor yanked.
    pub(crate) fn latest(&self) -> Option<&VersionName> {
        let eligible = |(version, state): &(&VersionName, &VersionState)| {
            !version.is_prerelease() && !state.yanked && !state.is_empty()
        };
        self.versions
            .iter()
            .rev()
            .find(eligible)
            .map(|(version, _)| version)
    }

    /// A channel that points at a release of `version`.
    pub(crate) fn channel_that_names(&self, version: &VersionName) -> Option<&ChannelName> {
        self.channels.keys().find(|channel| {
            self.channel(channel)
                .and_then(|(_, entry)| self.releases.get(&entry.release))
                .is_some_and(|release| release.statement.version == *version)
        })
    }

    /// The number of a channel's newest move, and the move.
    pub(crate) fn channel(&self, channel: &ChannelName) -> Option<(u64, &MoveRecord)> {
        self.channels
            .get(channel)?
            .last_key_value()
            .map(|(number, entry)| (*number, entry))
    }

    /// Every artefact that is not purged.
    pub(crate) fn artefacts(
        &self,
    ) -> impl Iterator<Item = (&VersionName, &FileName, &ArtefactRecord)> {
        self.versions.iter().flat_map(|(version, state)| {
            state
                .files
                .iter()
                .map(move |(file, record)| (version, file, record))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keys::BlobId;

    fn entry(number: u64, events: Vec<AppEvent>) -> Entry<AppEvent> {
        Entry {
            number,
            id: uuid::Uuid::now_v7(),
            created: String::new(),
            by: String::new(),
            events,
        }
    }

    fn publish(version: &str) -> AppEvent {
        AppEvent::Publish {
            version: version.parse().unwrap(),
            file: "a.tar.gz".parse().unwrap(),
            blob: BlobId::new(),
            size: 1,
            sha256: Digest::new([0; 32]),
        }
    }

    fn yank(yanked: bool) -> AppEvent {
        AppEvent::Yank {
            version: "1.10.0".parse().unwrap(),
            yanked,
        }
    }

    #[test]
    fn latest_is_neither_prerelease_nor_yanked_nor_purged() {
        let mut state = AppState::default();
        let versions = ["1.9.0", "1.10.0", "2.0.0-rc.1"].map(publish);
        state.apply(entry(1, versions.into())).unwrap();
        let latest = |state: &AppState| state.latest().map(VersionName::to_string).unwrap();
        assert_eq!(latest(&state), "1.10.0");
        state.apply(entry(2, vec![yank(true)])).unwrap();
        assert_eq!(latest(&state), "1.9.0");
        state.apply(entry(3, vec![yank(false)])).unwrap();
        assert_eq!(latest(&state), "1.10.0");
        let version: VersionName = "1.10.0".parse().unwrap();
        let purge = AppEvent::Purge {
            version: version.clone(),
        };
        state.apply(entry(4, vec![purge])).unwrap();
        assert_eq!(latest(&state), "1.9.0");
        assert!(state.is_purged(&version) && state.version(&version).is_none());
    }

    #[test]
    fn entries_count_once_and_in_order() {
        let mut state = AppState::default();
        state.apply(entry(1, vec![publish("1.0.0")])).unwrap();
        assert_eq!(state.apply(entry(3, vec![])), Err(2));
        state.apply(entry(1, vec![publish("2.0.0")])).unwrap();
        assert_eq!(state.position, 1);
        assert_eq!(state.artefacts().count(), 1);
    }
}
