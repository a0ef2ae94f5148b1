//! Garbage: expired versions, and blobs that no log references.
//!
//! 1. list the blobs, then read the logs, so that a blob that is recorded in between counts as referenced
//! 2. purge versions, one entry each, as `DELETE …?purge=true` does
//! 3. delete blobs that are older than `gc_age`: an upload ends within `REPOSITORY_UPLOAD_TIMEOUT`, is recorded within
//!    half of `gc_age`, and is refused otherwise

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use repository_api::{AppName, VersionName};

use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::purge;
use crate::storage::keys::{self, BlobId, Owner};
use crate::storage::{Registered, Storage, StorageError};

#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) versions: Vec<(AppName, VersionName)>,
    /// Blobs with their sizes in bytes.
    pub(crate) blobs: Vec<(BlobId, u64)>,
    /// Files and objects of interrupted uploads and starts.
    pub(crate) leftovers: u64,
}

pub(crate) async fn find(catalogue: &Catalogue, gc_age: Duration) -> Result<Garbage, StorageError> {
    let storage = catalogue.storage();
    let now = SystemTime::now();
    let mut blobs = old_blobs(storage, gc_age, now).await?;
    let mut garbage = Garbage::default();
    let mut referenced = BTreeSet::new();
    for (owner, Registered(is_registered)) in storage.owners().await? {
        let Owner::App(name) = owner else { continue };
        let Some(app) = catalogue.app(&name).await? else {
            if is_registered {
                // A log restored from a backup needs its blobs.
                return Err(StorageError::missing(&keys::entry(&Owner::App(name), 1)));
            }
            continue;
        };
        app.read(|state| {
            referenced.extend(state.artefacts().map(|(_, _, record)| record.blob));
            // An import registers an app when its log is complete. Until then, its channels are unknown.
            let now = is_registered.then_some(now);
            let expired = now.map(|now| state.expired(now)).unwrap_or_default();
            garbage
                .versions
                .extend(expired.into_iter().map(|version| (name.clone(), version)));
        });
    }
    blobs.retain(|(id, _)| !referenced.contains(id));
    garbage.blobs = blobs;
    garbage.leftovers = storage.sweep(gc_age, false).await?;
    Ok(garbage)
}

/// Blobs per listing: a disk reads its whole directory for each page.
const PAGE: usize = 100_000;

async fn old_blobs(
    storage: &Storage,
    gc_age: Duration,
    now: SystemTime,
) -> Result<Vec<(BlobId, u64)>, StorageError> {
    let mut old = Vec::new();
    let mut after = None;
    loop {
        let page = storage.blobs(after, PAGE).await?;
        let mut ids = page.iter().filter_map(|found| {
            let id: BlobId = found.name.parse().ok()?;
            Some((id, found.size))
        });
        // The oldest blobs come first.
        let young = ids.find_map(|(id, size)| {
            if id.age(now) > gc_age {
                old.push((id, size));
                None
            } else {
                Some(id)
            }
        });
        let last = page.iter().rev().find_map(|found| found.name.parse().ok());
        match (young, last) {
            (None, Some(last)) => after = Some(last),
            _ => return Ok(old),
        }
    }
}

/// Deletes garbage, and reports each outcome.
pub(crate) async fn delete(
    catalogue: &Arc<Catalogue>,
    gc_age: Duration,
    garbage: Garbage,
    mut report: impl FnMut(String),
) -> Result<(), Error> {
    for (app, version) in garbage.versions {
        match purge::expire(catalogue, &app, &version).await {
            Ok(true) => report(format!("purged {app} {version}")),
            // By now, the policy or a channel keeps the version.
            Ok(false) => report(format!("kept {app} {version}")),
            Err(error) if error.is_refusal() => report(format!("kept {app} {version}: {error}")),
            Err(error) => return Err(error),
        }
    }
    let storage = catalogue.storage();
    for (id, size) in garbage.blobs {
        if storage.delete_blob(id).await {
            report(format!("deleted blob {id} of {size} bytes"));
        } else {
            report(format!(
                "failed to delete blob {id} of {size} bytes: the log says why"
            ));
        }
    }
    if garbage.leftovers > 0 {
        let swept = storage.sweep(gc_age, true).await?;
        report(format!("deleted {swept} leftovers of interrupted uploads"));
    }
    Ok(())
}
