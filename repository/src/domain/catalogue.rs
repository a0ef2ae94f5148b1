//! The catalogue: every app that was asked for, with what its log says, in memory. So a listing
//! searches no store, and a start reads none.
//!
//! - [`event`]: what can happen to an app
//! - [`state`]: what follows; [`version`]: for one version
//! - [`app`]: up to date, and written by one rule
//! - [`changes`]: that something happens, for those who wait for it
//! - [`news`], [`feed`]: what happens, for those who follow it

mod app;
mod changes;
mod event;
mod feed;
mod news;
mod state;
mod version;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use repository_api::release::LayerName;
use repository_api::{AppName, FileName, VersionName};

pub(crate) use app::{App, Decision};
use changes::Changes;
pub(crate) use event::Event;
use feed::Round;
pub(crate) use feed::{Feed, Next};
use news::Announcer;
pub(crate) use news::News;
pub(crate) use state::{AppState, Generation, MoveRecord, ReleaseEntry, TokenRecord};
pub(crate) use version::{ArtefactRecord, VersionState};

use crate::http::failure::Failure;
use crate::storage::entry::Entry;
use crate::storage::keys::{BlobId, Owner};
use crate::storage::{Storage, StorageError};

/// How old what is served for good may be known to be there: only a purge makes a difference.
const LASTING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Catalogue {
    storage: Storage,
    apps: RwLock<HashMap<AppName, Arc<App>>>,
    /// Those that somebody asks for, and that may not exist.
    strangers: Mutex<HashMap<AppName, Weak<App>>>,
    /// Owns the layer under every app, and nothing else.
    default_layer: Arc<App>,
    tokens: Arc<App>,
    announcer: Announcer,
    /// Who asks for all apps, while somebody follows them all.
    round: Mutex<Weak<Round>>,
}

impl Catalogue {
    pub(crate) fn new(storage: Storage) -> Self {
        let announcer = Announcer::default();
        let app = |owner| Arc::new(App::new(owner, announcer.clone()));
        Self {
            storage,
            apps: RwLock::default(),
            strangers: Mutex::default(),
            default_layer: app(Owner::Default),
            tokens: app(Owner::Tokens),
            announcer,
            round: Mutex::default(),
        }
    }

    /// The app as it is now, if anything was ever written for it.
    pub(crate) async fn app(&self, app: &AppName) -> Result<Option<Arc<App>>, StorageError> {
        self.app_since(app, Instant::now()).await
    }

    async fn app_since(
        &self,
        app: &AppName,
        since: Instant,
    ) -> Result<Option<Arc<App>>, StorageError> {
        let known = self.in_memory(app);
        let entry = known.clone().unwrap_or_else(|| self.stranger(app));
        entry.refresh(&self.storage, since).await?;
        if entry.read(AppState::is_empty) {
            return Ok(None);
        }
        if known.is_some() {
            return Ok(Some(entry));
        }
        // Names that mean nothing take no room.
        let remembered = self.remember(app, entry);
        // Somebody else's may not be as new.
        remembered.refresh(&self.storage, since).await?;
        Ok(Some(remembered))
    }

    fn in_memory(&self, app: &AppName) -> Option<Arc<App>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.get(app).cloned()
    }

    /// An app of which nothing is in memory, or somebody who asks for it just now has it: so it is read once.
    fn stranger(&self, app: &AppName) -> Arc<App> {
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = strangers.get(app).and_then(Weak::upgrade) {
            return entry;
        }
        strangers.retain(|_, entry| entry.strong_count() > 0);
        let entry = Arc::new(App::new(Owner::App(app.clone()), self.announcer.clone()));
        strangers.insert(app.clone(), Arc::downgrade(&entry));
        entry
    }

    /// Of two the first one stays: writers must meet.
    fn remember(&self, app: &AppName, entry: Arc<App>) -> Arc<App> {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_insert(entry))
    }

    /// The app as it is now; 404 if there is none.
    pub(crate) async fn known(&self, app: &AppName) -> Result<Arc<App>, Failure> {
        self.app(app).await?.ok_or_else(|| unknown(app))
    }

    /// The app as it was a moment ago, for what never changes.
    pub(crate) async fn lasting(&self, app: &AppName) -> Result<Arc<App>, Failure> {
        let now = Instant::now();
        let since = now.checked_sub(LASTING).unwrap_or(now);
        self.app_since(app, since)
            .await?
            .ok_or_else(|| unknown(app))
    }

    /// The app, for a write that finds out itself how it is.
    pub(crate) fn app_for_write(&self, app: &AppName) -> Arc<App> {
        match self.in_memory(app) {
            Some(entry) => entry,
            None => self.remember(app, self.stranger(app)),
        }
    }

    /// Who holds `layer` of `app`, as it is now; `None` if nothing was ever written for it.
    pub(crate) async fn layer_owner(
        &self,
        app: &AppName,
        layer: &LayerName,
    ) -> Result<Option<Arc<App>>, StorageError> {
        match layer {
            LayerName::Default => Ok(Some(self.default_layer().await?)),
            _ => self.app(app).await,
        }
    }

    /// The same, for a write.
    pub(crate) fn layer_owner_for_write(&self, app: &AppName, layer: &LayerName) -> Arc<App> {
        match layer {
            LayerName::Default => Arc::clone(&self.default_layer),
            _ => self.app_for_write(app),
        }
    }

    /// The layer under every app, as it is now.
    pub(crate) async fn default_layer(&self) -> Result<Arc<App>, StorageError> {
        self.default_layer
            .refresh(&self.storage, Instant::now())
            .await?;
        Ok(Arc::clone(&self.default_layer))
    }

    /// The tokens, as they were so long ago, or later.
    pub(crate) async fn tokens(&self, age: Duration) -> Result<&App, StorageError> {
        let now = Instant::now();
        let since = now.checked_sub(age).unwrap_or(now);
        self.tokens.refresh(&self.storage, since).await?;
        Ok(&self.tokens)
    }

    /// Whether no token was ever made, as far as it is known.
    pub(crate) fn has_no_tokens(&self) -> bool {
        self.tokens.read(AppState::is_empty)
    }

    /// What happens to `owner` from now on, and to the layer under every app.
    pub(crate) fn changes(&self, owner: &Owner) -> Changes {
        let own = match owner {
            Owner::Default | Owner::Tokens => None,
            Owner::App(app) => self.in_memory(app),
        };
        let logs = own.into_iter().chain([Arc::clone(&self.default_layer)]);
        Changes::of(logs, &self.storage)
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

/// Whether a file's bytes lie where they lay after entry `position`: it may have been purged since then, or
/// healed.
pub(crate) async fn is_still_named(
    storage: &Storage,
    owner: &Owner,
    (version, file, blob): (&VersionName, &FileName, BlobId),
    position: u64,
) -> Result<bool, StorageError> {
    let mut is_named = true;
    let look = |entry: Entry<Event>| {
        is_named &= !entry.events.iter().any(|event| match event {
            Event::Purge { version: purged } => purged == version,
            Event::Heal {
                version: healed,
                file: of,
                blob: by,
            } => (healed, of) == (version, file) && *by != blob,
            _ => false,
        });
    };
    storage.read_log(owner, position, look).await?;
    Ok(is_named)
}

fn unknown(app: &AppName) -> Failure {
    Failure::not_found(format!(
        "there is no app {app}: publish it with PUT /artefacts/{app}/VERSION/FILE"
    ))
}
