//! Shared state of the server. Handlers extract each part by its type.

use std::sync::Arc;

use axum::extract::FromRef;

use super::access::Access;
use super::metrics::Metrics;
use super::receive::BodyLimits;
use super::waiting::Waiting;
use crate::domain::catalogue::Catalogue;
use crate::domain::promote::KeyFile;
use crate::domain::publish::Publisher;
use crate::upkeep::readiness::Readiness;

/// The state of the router, behind one pointer because each request clones it.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) publisher: Publisher,
    pub(crate) key_file: KeyFile,
    pub(crate) access: Arc<Access>,
    pub(crate) body_limits: BodyLimits,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

macro_rules! parts {
    ($($field:ident: $part:ty,)*) => { $(
        impl FromRef<App> for $part {
            fn from_ref(app: &App) -> Self {
                app.$field.clone()
            }
        }
    )* };
}

parts! {
    catalogue: Arc<Catalogue>,
    publisher: Publisher,
    key_file: KeyFile,
    access: Arc<Access>,
    body_limits: BodyLimits,
    waiting: Arc<Waiting>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}
