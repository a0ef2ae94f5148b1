//! Publishing an artefact.
//!
//! 1. refuse what can be refused before the body: a sealed version, a digest that differs
//! 2. receive the body into an upload of its own
//! 3. make the blob durable, and write the entry that names it; whoever is second compares
//! 4. where the same bytes are there, look whether they are whole: those that came again heal them
//!
//! From step 3 on the work goes on when the client hangs up: half of it would be an entry in the
//! store that memory does not know.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use http::{HeaderMap, StatusCode};
use repository_api::units::show_size;
use repository_api::{AppName, Digest, FileName, VersionName};

use crate::Repository;
use crate::domain::catalogue::{App, AppState, Decision, Event};
use crate::domain::completion::to_the_end;
use crate::http::failure::Failure;
use crate::http::receive::{self, Declared, Received};
use crate::storage::keys::BlobId;

#[derive(Debug)]
pub(crate) struct Published {
    /// Whether this request made it; otherwise the same bytes were there already.
    pub(crate) new: bool,
    pub(crate) sha256: Digest,
}

#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) app: AppName,
    pub(crate) version: VersionName,
    pub(crate) file: FileName,
}

pub(crate) async fn publish(
    repository: &Arc<Repository>,
    address: &Address,
    headers: &HeaderMap,
    body: Body,
    by: String,
) -> Result<Published, Failure> {
    let declared = Declared::read(headers, repository.settings.max_upload)?;
    if let Some(app) = repository.catalogue.app(&address.app).await? {
        app.read(|state| {
            refuse_early(state, address, declared.sha256)?;
            let is_there = state
                .version(&address.version)
                .is_some_and(|version| version.file(&address.file).is_some());
            match declared.length {
                Some(length) if !is_there => {
                    refuse_over_quota(repository, &address.app, state, length)
                }
                _ => Ok(()),
            }
        })?;
    }
    if let Some(length) = declared.length {
        refuse_over_quota(repository, &address.app, &AppState::default(), length)?;
    }
    let received = receive::receive(repository, body, &declared).await?;
    let (repository, address) = (Arc::clone(repository), address.clone());
    to_the_end(async move { commit(&repository, &address, received, &by).await }).await
}

pub(crate) async fn commit(
    repository: &Repository,
    address: &Address,
    received: Received,
    by: &str,
) -> Result<Published, Failure> {
    let (size, sha256) = (received.size, received.sha256);
    let blob = received.upload.finish().await?;
    let app = repository.catalogue.app_for_write(&address.app);
    let Address { version, file, .. } = address;
    let mut tried = false;
    let outcome = app
        .commit(&repository.storage, by, |state| {
            refuse_early(state, address, Some(sha256))?;
            let known = state
                .version(version)
                .and_then(|version| version.file(file));
            if let Some(record) = known {
                // Its own, where the answer to the first attempt was lost.
                let outcome = if record.blob == blob {
                    Outcome::Named
                } else {
                    Outcome::Known(record.blob)
                };
                return Ok(Decision::Settled(outcome));
            }
            refuse_too_old(repository, blob)?;
            refuse_over_quota(repository, &address.app, state, size)?;
            tried = true;
            let event = Event::Publish {
                version: version.clone(),
                file: file.clone(),
                blob,
                size,
                sha256,
            };
            Ok(Decision::Append(vec![event], Outcome::Named))
        })
        .await;
    match outcome {
        Ok(Outcome::Named) => Ok(Published { new: true, sha256 }),
        Ok(Outcome::Known(there)) => {
            if is_whole(repository, there, size, sha256).await {
                repository.storage.delete_blob(blob).await;
            } else {
                heal(repository, &app, address, (there, blob), by).await?;
            }
            Ok(Published { new: false, sha256 })
        }
        Err(failure) => {
            // After an error of the store an entry that names the blob may be there or not, so it stays.
            if failure.status.is_client_error() || !tried {
                repository.storage.delete_blob(blob).await;
            }
            Err(failure)
        }
    }
}

/// What became of the blob.
enum Outcome {
    Named,
    /// The same bytes are there, in another blob.
    Known(BlobId),
}

/// Whether the blob that a log names still has the bytes that it had.
async fn is_whole(repository: &Repository, blob: BlobId, size: u64, sha256: Digest) -> bool {
    match repository.storage.digest_of(blob).await {
        Ok(Some(found)) => found == (size, sha256),
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(error = %error.chain(), "a blob cannot be read: its bytes are kept anew");
            false
        }
    }
}

/// Keeps bytes that came again in the place of damaged ones.
async fn heal(
    repository: &Repository,
    app: &App,
    address: &Address,
    (damaged, whole): (BlobId, BlobId),
    by: &str,
) -> Result<(), Failure> {
    let Address { version, file, .. } = address;
    let healed = app
        .commit(&repository.storage, by, |state| {
            refuse_early(state, address, None)?;
            refuse_too_old(repository, whole)?;
            let there = state
                .version(version)
                .and_then(|version| version.file(file));
            match there {
                Some(record) if record.blob == damaged => {}
                record => {
                    let is_ours = record.is_some_and(|record| record.blob == whole);
                    return Ok(Decision::Settled(is_ours));
                }
            }
            let event = Event::Heal {
                version: version.clone(),
                file: file.clone(),
                blob: whole,
            };
            Ok(Decision::Append(vec![event], true))
        })
        .await?;
    if healed {
        tracing::warn!(app = %address.app, %version, %file, "the bytes were damaged: those that came again take their place");
        repository.storage.delete_blob(damaged).await;
    } else {
        repository.storage.delete_blob(whole).await;
    }
    Ok(())
}

/// What is refused here stays refused, so a state that is not up to date will do.
fn refuse_early(
    state: &AppState,
    address: &Address,
    sha256: Option<Digest>,
) -> Result<(), Failure> {
    if state.is_purged(&address.version) {
        return Err(purged(&address.app, &address.version));
    }
    let Some(version) = state.version(&address.version) else {
        return Ok(());
    };
    match (version.file(&address.file), sha256) {
        (Some(existing), Some(sha256)) if existing.sha256 != sha256 => {
            Err(differs(address, existing.sha256, sha256))
        }
        (None, _) if version.is_sealed() => Err(sealed(address)),
        _ => Ok(()),
    }
}

/// `gc` may take a blob that was begun so long ago for nobody's.
fn refuse_too_old(repository: &Repository, blob: BlobId) -> Result<(), Failure> {
    if blob.age(SystemTime::now()) < repository.settings.gc_age / 2 {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the upload waited for too long to be written down: nothing was published; send it again",
    ))
}

/// 507 where the app would have more bytes than it may.
fn refuse_over_quota(
    repository: &Repository,
    app: &AppName,
    state: &AppState,
    more: u64,
) -> Result<(), Failure> {
    let quota = state.policy.quota.or(repository.settings.quota);
    match quota {
        Some(quota) if state.bytes.saturating_add(more) > quota => Err(Failure::new(
            StatusCode::INSUFFICIENT_STORAGE,
            format!(
                "{app} may have {} and has {} already: purge what is not needed, or raise its quota with PUT /retention/{app}",
                show_size(quota),
                show_size(state.bytes)
            ),
        )),
        _ => Ok(()),
    }
}

/// 410 for a version that was deleted for ever.
pub(crate) fn purged(app: &AppName, version: &VersionName) -> Failure {
    Failure::new(
        StatusCode::GONE,
        format!(
            "{app} {version} was purged: its bytes are gone, and its name stays taken; publish and ask for another version"
        ),
    )
}

fn differs(address: &Address, existing: Digest, received: Digest) -> Failure {
    let Address { app, version, file } = address;
    Failure::conflict(format!(
        "{file} of {app} {version} exists with other bytes: it is sha256:{existing}, this is sha256:{received}; artefacts never change, publish a new version"
    ))
}

fn sealed(address: &Address) -> Failure {
    let Address { app, version, file } = address;
    Failure::conflict(format!(
        "{app} {version} is sealed, because a release names it: {file} cannot be added; publish a new version"
    ))
}
