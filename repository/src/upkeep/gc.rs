//! What is no use to anybody: versions that their app's policy lets go, and blobs that no log names.
//!
//! 1. look: blobs first, then the logs, so that whatever was named in between is seen
//! 2. purge versions, one entry each, as `DELETE …?purge=true` does
//! 3. delete blobs that were begun so long ago that their upload cannot be under way any more: an
//!    upload ends within `REPOSITORY_UPLOAD_TIMEOUT`, is written down within half of what is waited for
//!    here, and is refused otherwise

use std::collections::BTreeSet;
use std::time::SystemTime;

use repository_api::{AppName, VersionName};

use crate::Repository;
use crate::domain::purge;
use crate::http::failure::Failure;
use crate::storage::keys::{self, BlobId, Owner};
use crate::storage::{Enlisted, StorageError};

/// What would go.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) versions: Vec<(AppName, VersionName)>,
    /// With their sizes in bytes.
    pub(crate) blobs: Vec<(BlobId, u64)>,
    /// Files and objects that uploads and starts left which were cut off.
    pub(crate) leftovers: u64,
}

pub(crate) async fn look(repository: &Repository) -> Result<Garbage, StorageError> {
    let now = SystemTime::now();
    let mut blobs = old_blobs(repository, now).await?;
    let mut garbage = Garbage::default();
    let mut named = BTreeSet::new();
    for (owner, Enlisted(is_enlisted)) in repository.storage.owners().await? {
        let Owner::App(name) = owner else { continue };
        let Some(app) = repository.catalogue.app(&name).await? else {
            if is_enlisted {
                // What was in its log may come back from a backup, and its bytes must be there then.
                return Err(StorageError::Missing {
                    key: keys::entry(&Owner::App(name), 1).to_string(),
                });
            }
            continue;
        };
        app.read(|state| {
            named.extend(state.artefacts().map(|(_, _, record)| record.blob));
            // An import enlists an app when all of it is there: until then nobody knows what is needed.
            let now = is_enlisted.then_some(now);
            let expired = now.map(|now| state.expired(now)).unwrap_or_default();
            garbage
                .versions
                .extend(expired.into_iter().map(|version| (name.clone(), version)));
        });
    }
    blobs.retain(|(id, _)| !named.contains(id));
    garbage.blobs = blobs;
    let age = repository.settings.gc_age;
    garbage.leftovers = repository.storage.sweep(age, false).await?;
    Ok(garbage)
}

/// Blobs that are listed at once: a disk reads its whole directory for each page.
const PAGE: usize = 100_000;

async fn old_blobs(
    repository: &Repository,
    now: SystemTime,
) -> Result<Vec<(BlobId, u64)>, StorageError> {
    let mut old = Vec::new();
    let mut after = None;
    loop {
        let page = repository.storage.blobs(after, PAGE).await?;
        let mut ids = page.iter().filter_map(|found| {
            let id: BlobId = found.name.parse().ok()?;
            Some((id, found.size))
        });
        // They are sorted by time.
        let young = ids.find_map(|(id, size)| {
            if id.age(now) > repository.settings.gc_age {
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

/// Deletes it, and says of each what became of it.
pub(crate) async fn delete(
    repository: &Repository,
    garbage: Garbage,
    mut gone: impl FnMut(String),
) -> Result<(), Failure> {
    for (app, version) in garbage.versions {
        match purge::expire(repository, &app, &version).await {
            Ok(true) => gone(format!("purged {app} {version}")),
            // It is needed again by now.
            Ok(false) => gone(format!("kept {app} {version}")),
            Err(failure) if failure.status.is_client_error() => {
                gone(format!("kept {app} {version}: {}", failure.detail));
            }
            Err(failure) => return Err(failure),
        }
    }
    for (id, size) in garbage.blobs {
        if repository.storage.delete_blob(id).await {
            gone(format!("deleted blob {id} of {size} bytes"));
        } else {
            gone(format!(
                "could not delete blob {id} of {size} bytes: the log says why"
            ));
        }
    }
    if garbage.leftovers > 0 {
        let age = repository.settings.gc_age;
        let swept = repository.storage.sweep(age, true).await?;
        gone(format!("deleted {swept} leftovers of what was cut off"));
    }
    Ok(())
}
