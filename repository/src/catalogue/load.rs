//! The catalogue rebuilt from the store's records.
//!
//! A key that is nobody's, such as a file that an editor left behind, is named in the log and left
//! alone. A damaged record stops the start: to serve without it could mean to serve something else.

use std::collections::BTreeSet;
use std::str::FromStr;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use repository_api::release::{LayerName, Statement};
use repository_api::{AppName, ChannelName, FileName, VersionName};
use serde::de::DeserializeOwned;

use super::{
    AppEntry, AppState, ArtefactRecord, Catalogue, LayerRecord, MoveRecord, ReleaseEntry,
    ReleaseRecord, SealRecord, YankRecord,
};
use crate::storage::keys::{ARTEFACTS, CHANNELS, CONFIG, DEFAULT_OWNER, RELEASES, SEALS, YANKS};
use crate::storage::{Storage, StorageError, log};

/// Reads from the store at once.
const PARALLEL: usize = 32;

impl Catalogue {
    pub(crate) async fn load(storage: &Storage) -> Result<Self, StorageError> {
        let mut names = BTreeSet::new();
        for prefix in [ARTEFACTS, CONFIG] {
            names.extend(storage.children(&Path::from(prefix)).await?);
        }
        let catalogue = Self::default();
        let state = load_app(storage, DEFAULT_OWNER).await?;
        catalogue.default_layer.write(|current| *current = state);
        for name in names {
            let Ok(app) = AppName::from_str(&name) else {
                if name != DEFAULT_OWNER {
                    tracing::warn!(
                        key = name,
                        "the store holds something that is no app's: it is ignored"
                    );
                }
                continue;
            };
            let state = load_app(storage, app.as_str()).await?;
            catalogue
                .app_for_write(&app)
                .write(|current| *current = state);
        }
        Ok(catalogue)
    }
}

impl AppEntry {
    /// Reads the app's records anew, because somebody else has written. Called with `writing` held.
    pub(crate) async fn reload(&self, storage: &Storage, owner: &str) -> Result<(), StorageError> {
        let state = load_app(storage, owner).await?;
        self.write(|current| *current = state);
        Ok(())
    }
}

async fn load_app(storage: &Storage, owner: &str) -> Result<AppState, StorageError> {
    let mut state = AppState::default();
    let loader = Loader { storage, owner };
    loader.layers(&mut state).await?;
    if owner != DEFAULT_OWNER {
        loader.artefacts(&mut state).await?;
        loader.seals(&mut state).await?;
        loader.yanks(&mut state).await?;
        loader.releases(&mut state).await?;
        loader.channels(&mut state).await?;
    }
    Ok(state)
}

/// Reads the records of one app, a kind at a time.
#[derive(Clone, Copy)]
struct Loader<'a> {
    storage: &'a Storage,
    owner: &'a str,
}

impl Loader<'_> {
    async fn artefacts(self, state: &mut AppState) -> Result<(), StorageError> {
        let name = |key: &Path| {
            let [version, file, record] = parts(key)?;
            let named: (VersionName, FileName) = (version.parse().ok()?, file.parse().ok()?);
            (record == "record.json").then_some(named)
        };
        let keep = |record: ArtefactRecord| record;
        for ((version, file), record) in self.records(ARTEFACTS, name, keep).await? {
            state
                .versions
                .entry(version)
                .or_default()
                .add_file(file, record);
        }
        Ok(())
    }

    async fn seals(self, state: &mut AppState) -> Result<(), StorageError> {
        let name = |key: &Path| {
            let [version, record] = parts(key)?;
            let version: VersionName = version.parse().ok()?;
            (record == "seal.json").then_some(version)
        };
        let keep = |record: SealRecord| record;
        for (version, record) in self.records(SEALS, name, keep).await? {
            state.versions.entry(version).or_default().set_seal(record);
        }
        Ok(())
    }

    async fn yanks(self, state: &mut AppState) -> Result<(), StorageError> {
        let keep = |record: YankRecord| record;
        for ((version, number), record) in
            self.records(YANKS, numbered::<VersionName>, keep).await?
        {
            state
                .versions
                .entry(version)
                .or_default()
                .add_yank(number, record);
        }
        Ok(())
    }

    async fn releases(self, state: &mut AppState) -> Result<(), StorageError> {
        let name = |key: &Path| {
            let [_] = parts(key)?;
            log::number(key)
        };
        let keep = |record: ReleaseRecord| record;
        for (number, record) in self.records(RELEASES, name, keep).await? {
            let statement = Statement::from_text(&record.statement).map_err(|source| {
                let key = log::entry(&Path::from_iter([RELEASES, self.owner]), number);
                StorageError::Damaged {
                    key: key.to_string(),
                    source,
                }
            })?;
            let entry = ReleaseEntry {
                text: record.statement,
                statement,
                created: record.created,
            };
            state.releases.insert(number, entry);
        }
        Ok(())
    }

    async fn channels(self, state: &mut AppState) -> Result<(), StorageError> {
        let keep = |record: MoveRecord| record;
        for ((channel, number), record) in self
            .records(CHANNELS, numbered::<ChannelName>, keep)
            .await?
        {
            state
                .channels
                .entry(channel)
                .or_default()
                .insert(number, record);
        }
        Ok(())
    }

    async fn layers(self, state: &mut AppState) -> Result<(), StorageError> {
        let name = |key: &Path| {
            let [layer, _] = parts(key)?;
            Some((LayerName::try_from(layer).ok()?, log::number(key)?))
        };
        // The contents stay in the store: each may have a mebibyte, and there may be many.
        let keep = |record: LayerRecord| record.sha256;
        for ((layer, number), sha256) in self.records(CONFIG, name, keep).await? {
            state
                .layers
                .entry(layer)
                .or_default()
                .insert(number, sha256);
        }
        Ok(())
    }

    /// The records below a prefix whose keys `name` knows, each reduced by `keep` as soon as it is
    /// read.
    async fn records<N, R: DeserializeOwned, T>(
        self,
        prefix: &str,
        name: impl Fn(&Path) -> Option<N>,
        keep: impl Fn(R) -> T + Copy,
    ) -> Result<Vec<(N, T)>, StorageError> {
        let keys = self
            .storage
            .keys(&Path::from_iter([prefix, self.owner]))
            .await?;
        let named = keys.into_iter().filter_map(|key| {
            let found = name(&key);
            if found.is_none() {
                tracing::warn!(%key, "the store holds something that is no record: it is ignored");
            }
            found.map(|name| (name, key))
        });
        stream::iter(named.collect::<Vec<_>>())
            .map(
                |(name, key)| async move { Ok((name, keep(self.storage.read_named(&key).await?))) },
            )
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }
}

/// What follows the prefix and the app in a key, if it has as many parts as it should.
fn parts<const N: usize>(key: &Path) -> Option<[String; N]> {
    let parts: Vec<String> = key
        .parts()
        .skip(2)
        .map(|part| part.as_ref().to_owned())
        .collect();
    parts.try_into().ok()
}

/// The name and the number of an entry of a log per name.
fn numbered<T: FromStr>(key: &Path) -> Option<(T, u64)> {
    let [name, _] = parts(key)?;
    Some((name.parse().ok()?, log::number(key)?))
}
