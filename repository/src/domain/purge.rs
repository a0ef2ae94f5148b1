//! Purging a version: its bytes are deleted for ever, and its name stays taken.
//!
//! 1. write the entry: from then on, no reader gets the version
//! 2. delete the blobs; `gc` retries

use std::sync::Arc;
use std::time::SystemTime;

use repository_api::{AppName, VersionName};

use super::catalogue::{Catalogue, Decision};
use super::completion::run_to_completion;
use super::error::Error;
use super::event::AppEvent;
use super::state::app::AppState;
use crate::storage::keys::BlobId;

/// The author of a purge that a retention policy asks for.
const POLICY: &str = "retention policy";

pub(crate) async fn purge(
    catalogue: &Arc<Catalogue>,
    app: AppName,
    version: VersionName,
    by: String,
) -> Result<(), Error> {
    let catalogue = Arc::clone(catalogue);
    run_to_completion(async move {
        purge_if(&catalogue, &app, &version, &by, |_| true)
            .await
            .map(drop)
    })
    .await
}

/// Purges a version if it is still expired; returns whether it is purged.
pub(crate) async fn expire(
    catalogue: &Catalogue,
    app: &AppName,
    version: &VersionName,
) -> Result<bool, Error> {
    let now = SystemTime::now();
    purge_if(catalogue, app, version, POLICY, |state| {
        state.expired(now).contains(version)
    })
    .await
}

async fn purge_if(
    catalogue: &Catalogue,
    app: &AppName,
    version: &VersionName,
    by: &str,
    condition: impl Fn(&AppState) -> bool,
) -> Result<bool, Error> {
    let log = catalogue.known(app).await?;
    let (is_purged, blobs) = log
        .commit(by, |state| {
            if state.is_purged(version) {
                return Ok(Decision::Unchanged((true, Vec::new())));
            }
            if !condition(state) {
                return Ok(Decision::Unchanged((false, Vec::new())));
            }
            let found = state.existing(app, version)?;
            refuse_in_use(app, version, state)?;
            let blobs: Vec<BlobId> = found.files().map(|(_, record)| record.blob).collect();
            let event = AppEvent::Purge {
                version: version.clone(),
            };
            Ok(Decision::Append(vec![event], (true, blobs)))
        })
        .await?;
    for blob in blobs {
        catalogue.storage().delete_blob(blob).await;
    }
    Ok(is_purged)
}

/// Refuses a version while a channel points at a release of it.
pub(super) fn refuse_in_use(
    app: &AppName,
    version: &VersionName,
    state: &AppState,
) -> Result<(), Error> {
    match state.channel_that_names(version) {
        None => Ok(()),
        Some(channel) => Err(Error::VersionInUse {
            app: app.clone(),
            version: version.clone(),
            channel: channel.clone(),
        }),
    }
}
