//! Purging a version: its bytes are deleted for ever, and its name stays taken.
//!
//! 1. the entry in the log: from then on nobody is given the version
//! 2. the blobs; those that cannot be deleted now are nobody's, and `gc` takes them

use std::time::SystemTime;

use repository_api::{AppName, VersionName};

use crate::Repository;
use crate::domain::catalogue::{AppState, Decision, Event};
use crate::http::failure::Failure;
use crate::storage::keys::BlobId;

/// Who purges what nobody keeps.
const POLICY: &str = "retention policy";

pub(crate) async fn purge(
    repository: &Repository,
    app: &AppName,
    version: &VersionName,
    by: &str,
) -> Result<(), Failure> {
    purge_if(repository, app, version, by, |_| true)
        .await
        .map(drop)
}

/// Purges a version if its app's policy lets it go, now that it comes to it; returns whether.
pub(crate) async fn expire(
    repository: &Repository,
    app: &AppName,
    version: &VersionName,
) -> Result<bool, Failure> {
    let now = SystemTime::now();
    purge_if(repository, app, version, POLICY, |state| {
        state.expired(now).contains(version)
    })
    .await
}

async fn purge_if(
    repository: &Repository,
    app: &AppName,
    version: &VersionName,
    by: &str,
    goes: impl Fn(&AppState) -> bool,
) -> Result<bool, Failure> {
    let entry = repository.catalogue.known(app).await?;
    let (is_gone, blobs) = entry
        .commit(&repository.storage, by, |state| {
            if state.is_purged(version) {
                return Ok(Decision::Settled((true, Vec::new())));
            }
            if !goes(state) {
                return Ok(Decision::Settled((false, Vec::new())));
            }
            let Some(found) = state.version(version) else {
                return Err(Failure::not_found(format!(
                    "{app} has no version {version}: GET /artefacts/{app}/ lists those there are"
                )));
            };
            refuse_while_named(app, version, state)?;
            let blobs: Vec<BlobId> = found.files().map(|(_, record)| record.blob).collect();
            let event = Event::Purge {
                version: version.clone(),
            };
            Ok(Decision::Append(vec![event], (true, blobs)))
        })
        .await?;
    for blob in blobs {
        repository.storage.delete_blob(blob).await;
    }
    Ok(is_gone)
}

/// 409 while a channel points at a release of the version.
pub(crate) fn refuse_while_named(
    app: &AppName,
    version: &VersionName,
    state: &AppState,
) -> Result<(), Failure> {
    match state.channel_that_names(version) {
        None => Ok(()),
        Some(channel) => Err(Failure::conflict(format!(
            "channel {channel} of {app} points at a release of {version}: point it elsewhere first, with PUT /channels/{app}/{channel}"
        ))),
    }
}
