//! The catalogue: logs with their states in memory, each loaded when it is first used. A start reads no log, and a
//! listing does not search the store.
//!
//! - [`log`]: one log: how it is read and written
//! - [`contents`]: the contents of config layers
//! - [`news`], [`feed`]: events for followers
//! - [`changes`]: notifications for long polls

mod changes;
mod contents;
mod feed;
mod log;
mod news;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use repository_api::release::LayerPin;
use repository_api::{AppName, FileName, VersionName};

use super::error::Error;
use super::event::AppEvent;
use super::layer_file::LayerFile;
use super::state::LogState as _;
use super::state::app::AppState;
use super::state::default_layer::DefaultLayerState;
use super::state::layers::Layers;
use super::state::tokens::TokensState;
use crate::storage::entry::Entry;
use crate::storage::keys::{BlobId, Owner};
use crate::storage::{Storage, StorageError};
pub(crate) use changes::Changes;
use contents::Contents;
use feed::Round;
pub(crate) use feed::{Feed, Next};
pub(crate) use log::{Decision, Log};
use news::Announcer;
pub(crate) use news::{Announced, News};

pub(crate) type AppLog = Log<AppState>;
pub(crate) type DefaultLayerLog = Log<DefaultLayerState>;
pub(crate) type TokenLog = Log<TokensState>;

/// Maximum age of a state that serves reads of immutable objects. Only a purge affects them.
const MAX_STALENESS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Catalogue {
    storage: Storage,
    apps: RwLock<HashMap<AppName, Arc<AppLog>>>,
    /// Logs being read. Their apps may not exist.
    loading: Mutex<HashMap<AppName, Weak<AppLog>>>,
    default_layer: Arc<DefaultLayerLog>,
    tokens: Arc<TokenLog>,
    contents: Contents,
    announcer: Announcer,
    /// Polls all apps while a follower of all apps exists.
    round: Mutex<Weak<Round>>,
}

impl Catalogue {
    pub(crate) fn new(storage: Storage) -> Self {
        let announcer = Announcer::default();
        Self {
            apps: RwLock::default(),
            loading: Mutex::default(),
            default_layer: Arc::new(Log::new(
                Owner::DefaultLayer,
                storage.clone(),
                announcer.clone(),
            )),
            tokens: Arc::new(Log::new(Owner::Tokens, storage.clone(), announcer.clone())),
            contents: Contents::default(),
            announcer,
            round: Mutex::default(),
            storage,
        }
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The log of an app, up to date; `None` if it has no entry.
    pub(crate) async fn app(&self, app: &AppName) -> Result<Option<Arc<AppLog>>, StorageError> {
        self.app_since(app, Instant::now()).await
    }

    async fn app_since(
        &self,
        app: &AppName,
        since: Instant,
    ) -> Result<Option<Arc<AppLog>>, StorageError> {
        let known = self.in_memory(app);
        let log = known.clone().unwrap_or_else(|| self.load(app));
        log.refresh(since).await?;
        if log.read(AppState::is_empty) {
            return Ok(None);
        }
        if known.is_some() {
            return Ok(Some(log));
        }
        // Remembered only now, so that names of unknown apps take no memory.
        let remembered = self.remember(app, log);
        // Another request may have remembered an older state first.
        remembered.refresh(since).await?;
        Ok(Some(remembered))
    }

    fn in_memory(&self, app: &AppName) -> Option<Arc<AppLog>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.get(app).cloned()
    }

    /// The log of an app that is not in memory. Concurrent requests share it, so the store is read once.
    fn load(&self, app: &AppName) -> Arc<AppLog> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = loading.get(app).and_then(Weak::upgrade) {
            return log;
        }
        loading.retain(|_, log| log.strong_count() > 0);
        let owner = Owner::App(app.clone());
        let log = Arc::new(Log::new(
            owner,
            self.storage.clone(),
            self.announcer.clone(),
        ));
        loading.insert(app.clone(), Arc::downgrade(&log));
        log
    }

    /// Keeps the first log of an app, because all writers must use the same one.
    fn remember(&self, app: &AppName, log: Arc<AppLog>) -> Arc<AppLog> {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_insert(log))
    }

    /// The log of an app, up to date; an error if the app does not exist.
    pub(crate) async fn known(&self, app: &AppName) -> Result<Arc<AppLog>, Error> {
        self.app(app)
            .await?
            .ok_or_else(|| Error::UnknownApp(app.clone()))
    }

    /// Like [`Self::known`], but up to a second old, for reads of immutable objects.
    pub(crate) async fn known_recently(&self, app: &AppName) -> Result<Arc<AppLog>, Error> {
        self.app_since(app, ago(MAX_STALENESS))
            .await?
            .ok_or_else(|| Error::UnknownApp(app.clone()))
    }

    /// The log of an app for a write, which refreshes the state itself.
    pub(crate) fn app_for_write(&self, app: &AppName) -> Arc<AppLog> {
        match self.in_memory(app) {
            Some(log) => log,
            None => self.remember(app, self.load(app)),
        }
    }

    /// The log of the default layer, up to date.
    pub(crate) async fn default_layer(&self) -> Result<&DefaultLayerLog, StorageError> {
        self.default_layer.refresh(Instant::now()).await?;
        Ok(&self.default_layer)
    }

    /// The log of the default layer for a write, which refreshes the state itself.
    pub(crate) fn default_layer_for_write(&self) -> &DefaultLayerLog {
        &self.default_layer
    }

    /// Reads the layers of the log that holds `file`; `None` if its app does not exist.
    pub(crate) async fn layers<T>(
        &self,
        file: &LayerFile,
        read: impl FnOnce(&Layers) -> T,
    ) -> Result<Option<T>, StorageError> {
        match file.app() {
            None => {
                let log = self.default_layer().await?;
                Ok(Some(log.read(|state| read(&state.layers))))
            }
            Some(app) => {
                let log = self.app(app).await?;
                Ok(log.map(|log| log.read(|state| read(&state.layers))))
            }
        }
    }

    /// The content of a generation.
    pub(crate) async fn content(&self, file: &LayerFile, number: u64) -> Result<String, Error> {
        let layer = file.layer();
        let generation = self
            .layers(file, |layers| layers.generation(&layer, number))
            .await?
            .flatten();
        let Some(generation) = generation else {
            return Err(Error::UnknownGeneration {
                app: file.owner().to_owned(),
                layer,
                generation: number,
            });
        };
        let (contents, storage) = (&self.contents, &self.storage);
        let content = match file.app() {
            None => {
                let owner = Owner::DefaultLayer;
                contents
                    .get::<DefaultLayerState>(storage, &owner, &layer, &generation)
                    .await
            }
            Some(app) => {
                let owner = Owner::App(app.clone());
                contents
                    .get::<AppState>(storage, &owner, &layer, &generation)
                    .await
            }
        };
        Ok(content?)
    }

    /// The newest generation of each layer of an app, from the default layer on.
    pub(crate) async fn pins(&self, app: &AppLog) -> Result<Vec<LayerPin>, StorageError> {
        let default = self.default_layer().await?;
        let mut pins = default.read(|state| state.layers.pins());
        pins.extend(app.read(|state| state.layers.pins()));
        Ok(pins)
    }

    /// The tokens as they were `age` ago, or later.
    pub(crate) async fn tokens(&self, age: Duration) -> Result<&TokenLog, StorageError> {
        self.tokens.refresh(ago(age)).await?;
        Ok(&self.tokens)
    }

    /// Whether this server knows of no token, past or present.
    pub(crate) fn has_no_tokens(&self) -> bool {
        self.tokens.read(TokensState::is_empty)
    }

    /// Changes from now on of the default layer and, if given, of an app.
    pub(crate) fn changes(&self, app: Option<&AppName>) -> Changes {
        let app = app.and_then(|app| self.in_memory(app));
        let logs = app.map(changes::watch);
        let default = changes::watch(Arc::clone(&self.default_layer));
        Changes::new(logs.into_iter().chain([default]).collect())
    }

    fn round(&self) -> MutexGuard<'_, Weak<Round>> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the apps after `after`, in order.
    pub(crate) async fn names_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AppName>, StorageError> {
        let names = self.storage.names(after, limit).await?;
        Ok(names
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .collect())
    }
}

fn ago(age: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}

/// Whether a file still has the blob that it had after entry `position`: a later entry may purge or heal it.
pub(crate) async fn is_still_referenced(
    storage: &Storage,
    app: &AppName,
    (version, file, blob): (&VersionName, &FileName, BlobId),
    position: u64,
) -> Result<bool, StorageError> {
    let mut is_referenced = true;
    let check = |entry: Entry<AppEvent>| {
        is_referenced &= !entry.events.iter().any(|event| match event {
            AppEvent::Purge { version: purged } => purged == version,
            AppEvent::Heal {
                version: healed,
                file: of,
                blob: by,
            } => (healed, of) == (version, file) && *by != blob,
            _ => false,
        });
    };
    let owner = Owner::App(app.clone());
    storage.read_log(&owner, position, check).await?;
    Ok(is_referenced)
}
