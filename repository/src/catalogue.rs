//! The catalogue: what the store's records say, in memory, so that a listing reads no store. It is
//! rebuilt from the records at start, and from an app's records whenever somebody else has written.
//!
//! Writes of one app go one after the other; the store's *create unless it exists* stays the judge,
//! because another process may write to the same store.

mod load;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use repository_api::AppName;
use repository_api::release::LayerName;

pub(crate) use state::{
    AppState, ArtefactRecord, LayerRecord, MoveRecord, ReleaseEntry, ReleaseRecord, SealRecord,
    SignatureRecord, VersionState, YankRecord,
};

use crate::failure::Failure;

#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    apps: RwLock<BTreeMap<AppName, Arc<AppEntry>>>,
    /// Owns the layer under every app, and nothing else.
    default_layer: Arc<AppEntry>,
}

#[derive(Debug, Default)]
pub(crate) struct AppEntry {
    state: RwLock<AppState>,
    /// Held over a write to the store and its entry in `state`.
    pub(crate) writing: tokio::sync::Mutex<()>,
}

impl AppEntry {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&AppState) -> T) -> T {
        look(
            &self
                .state
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut AppState) -> T) -> T {
        change(
            &mut self
                .state
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}

impl Catalogue {
    /// The app, if anything was ever written for it.
    pub(crate) fn app(&self, app: &AppName) -> Option<Arc<AppEntry>> {
        let apps = self
            .apps
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        apps.get(app)
            .filter(|entry| !entry.read(AppState::is_empty))
            .cloned()
    }

    pub(crate) fn known(&self, app: &AppName) -> Result<Arc<AppEntry>, Failure> {
        self.app(app).ok_or_else(|| {
            Failure::not_found(format!(
                "there is no app {app}: publish it with PUT /artefacts/{app}/VERSION/FILE"
            ))
        })
    }

    /// The app, for a write.
    pub(crate) fn app_for_write(&self, app: &AppName) -> Arc<AppEntry> {
        let mut apps = self
            .apps
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_default())
    }

    /// The entry that holds `layer` of `app`, if anything was ever written for it.
    pub(crate) fn layer_owner(&self, app: &AppName, layer: &LayerName) -> Option<Arc<AppEntry>> {
        match layer {
            LayerName::Default => Some(Arc::clone(&self.default_layer)),
            _ => self.app(app),
        }
    }

    /// The same, for a write.
    pub(crate) fn layer_owner_for_write(&self, app: &AppName, layer: &LayerName) -> Arc<AppEntry> {
        match layer {
            LayerName::Default => Arc::clone(&self.default_layer),
            _ => self.app_for_write(app),
        }
    }

    pub(crate) fn default_layer(&self) -> &AppEntry {
        &self.default_layer
    }

    /// The names of the apps after `after`, in order.
    pub(crate) fn names_after(&self, after: Option<&str>, limit: usize) -> Vec<AppName> {
        let apps = self
            .apps
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        apps.iter()
            .filter(|(name, entry)| {
                after.is_none_or(|after| name.as_str() > after) && !entry.read(AppState::is_empty)
            })
            .map(|(name, _)| name.clone())
            .take(limit)
            .collect()
    }
}
