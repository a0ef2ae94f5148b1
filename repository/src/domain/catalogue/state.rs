//! An app's state: what follows from its log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use repository_api::release::{LayerName, LayerPin, Statement};
use repository_api::{ChannelName, Digest, FileName, VersionName};

use super::event::Event;
use super::version::{ArtefactRecord, VersionState};
use crate::domain::policy::Policy;
use crate::domain::scope::Scope;
use crate::domain::token::{Hash, TokenName};
use crate::storage::entry::Entry;

/// A generation of a layer. Its content may be large, and stays in the log.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) sha256: Digest,
    /// The number of the entry that holds the content.
    pub(crate) entry: u64,
    /// Who wrote it.
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

#[derive(Debug, Clone)]
pub(crate) struct MoveRecord {
    pub(crate) release: u64,
    pub(crate) from: Option<u64>,
    /// The number of the entry that says so.
    pub(crate) entry: u64,
    /// Who moved it.
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

#[derive(Debug, Clone)]
pub(crate) struct ReleaseEntry {
    pub(crate) text: String,
    pub(crate) statement: Statement,
    pub(crate) minisig: Option<String>,
    /// Who made it.
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

#[derive(Debug, Clone)]
pub(crate) struct TokenRecord {
    pub(crate) name: TokenName,
    pub(crate) hash: Hash,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) expires: Option<String>,
    pub(crate) created: String,
}

impl TokenRecord {
    /// What cannot be read as a time is over.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.as_ref().is_some_and(|expires| {
            humantime::parse_rfc3339(expires).map_or(true, |expires| expires <= now)
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct AppState {
    /// The number of the last entry that is in here.
    pub(crate) position: u64,
    pub(crate) versions: BTreeMap<VersionName, VersionState>,
    /// From generation 1 on.
    layers: BTreeMap<LayerName, Vec<Generation>>,
    pub(crate) releases: BTreeMap<u64, ReleaseEntry>,
    pub(crate) channels: BTreeMap<ChannelName, BTreeMap<u64, MoveRecord>>,
    /// Channels that take signed releases only.
    pub(crate) signed_only: BTreeSet<ChannelName>,
    pub(crate) policy: Policy,
    /// Of all artefacts.
    pub(crate) bytes: u64,
    /// Of the log of tokens.
    pub(crate) tokens: BTreeMap<TokenName, TokenRecord>,
    /// When something last happened, and who did it.
    pub(crate) last: Option<(String, Arc<str>)>,
    /// Whoever did something: few names, which many records share.
    people: BTreeSet<Arc<str>>,
}

impl AppState {
    /// Takes the next entry over; one that is in here already changes nothing. Returns the number of
    /// the entry that is missing before this one, if there is one.
    pub(crate) fn apply(&mut self, entry: Entry<Event>) -> Result<(), u64> {
        if entry.number <= self.position {
            return Ok(());
        }
        if entry.number != self.position + 1 {
            return Err(self.position + 1);
        }
        let Entry {
            number,
            created,
            by,
            events,
            ..
        } = entry;
        self.position = number;
        let by = self.person(&by);
        for event in events {
            self.happened(event, &created, &by);
        }
        self.last = Some((created, by));
        Ok(())
    }

    fn person(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.people.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.people.insert(Arc::clone(&name));
        name
    }

    fn happened(&mut self, event: Event, created: &str, by: &Arc<str>) {
        match event {
            Event::Publish {
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
            Event::Heal {
                version,
                file,
                blob,
            } => {
                let files = &mut self.version_mut(version).files;
                if let Some((_, record)) = files.iter_mut().find(|(name, _)| *name == file) {
                    record.blob = blob;
                }
            }
            Event::Yank { version, yanked } => self.version_mut(version).yanked = yanked,
            Event::Purge { version } => {
                let version = self.version_mut(version);
                version.purged = true;
                let files = std::mem::take(&mut version.files);
                self.bytes -= files.iter().map(|(_, record)| record.size).sum::<u64>();
            }
            Event::Configure { layer, sha256, .. } => {
                let generation = Generation {
                    sha256,
                    entry: self.position,
                    by: Arc::clone(by),
                    created: created.to_owned(),
                };
                self.layers.entry(layer).or_default().push(generation);
            }
            Event::Release { statement: text } => self.released(text, created, by),
            Event::Move { channel, release } => {
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
            Event::Restrict {
                channel,
                signed_only,
            } => {
                if signed_only {
                    self.signed_only.insert(channel);
                } else {
                    self.signed_only.remove(&channel);
                }
            }
            Event::Sign { release, minisig } => {
                if let Some(entry) = self.releases.get_mut(&release) {
                    entry.minisig = Some(minisig);
                }
            }
            Event::Retain { policy } => self.policy = policy,
            Event::Grant {
                token,
                hash,
                scopes,
                expires,
            } => {
                let record = TokenRecord {
                    name: token.clone(),
                    hash,
                    scopes,
                    expires,
                    created: created.to_owned(),
                };
                self.tokens.insert(token, record);
            }
            Event::Revoke { token } => {
                self.tokens.remove(&token);
            }
        }
    }

    fn released(&mut self, text: String, created: &str, by: &Arc<str>) {
        let Ok(statement) = Statement::from_text(&text) else {
            // It was made here, and its entry had the right sum: another version wrote it.
            tracing::error!("a release's statement cannot be read: the release is left out");
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

    /// Whether nothing was ever written for it.
    pub(crate) fn is_empty(&self) -> bool {
        self.position == 0
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

    /// The newest generation of a layer.
    pub(crate) fn newest(&self, layer: &LayerName) -> Option<(u64, Digest)> {
        let generations = self.layers.get(layer)?;
        Some((generations.len() as u64, generations.last()?.sha256))
    }

    pub(crate) fn generation(&self, layer: &LayerName, number: u64) -> Option<Generation> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.layers.get(layer)?.get(index).cloned()
    }

    /// The generations of a layer, from the first one on.
    pub(crate) fn generations(&self, layer: &LayerName) -> &[Generation] {
        self.layers.get(layer).map_or(&[], Vec::as_slice)
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

    /// The token of this hash: each is looked at, so that none is quicker than the others.
    pub(crate) fn token(&self, hash: &Hash) -> Option<&TokenRecord> {
        let mut found = None;
        for record in self.tokens.values() {
            if record.hash.is(hash) {
                found = Some(record);
            }
        }
        found
    }

    /// Every artefact whose bytes are kept.
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

    fn entry(number: u64, events: Vec<Event>) -> Entry<Event> {
        Entry {
            number,
            id: uuid::Uuid::now_v7(),
            created: String::new(),
            by: String::new(),
            events,
        }
    }

    fn publish(version: &str) -> Event {
        Event::Publish {
            version: version.parse().unwrap(),
            file: "a.tar.gz".parse().unwrap(),
            blob: BlobId::new(),
            size: 1,
            sha256: Digest::new([0; 32]),
        }
    }

    fn yank(yanked: bool) -> Event {
        Event::Yank {
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
        let purge = Event::Purge {
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
