//! Publishing an artefact.
//!
//! 1. refuse what can be refused before the body: a sealed version, a digest that differs
//! 2. receive the body into an upload of its own
//! 3. make the blob durable, and create the record that names it; whoever is second compares
//! 4. look again for a seal: one that was made meanwhile decides
//!
//! From step 3 on the work goes on when the client hangs up: half of it would be a record without
//! its entry in the catalogue.

use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use repository_api::{AppName, Digest, FileName, VersionName};

use crate::Repository;
use crate::catalogue::{AppEntry, ArtefactRecord, SealRecord};
use crate::failure::Failure;
use crate::receive::{self, Declared, Received};
use crate::storage::keys;
use crate::storage::record::Created;
use crate::timestamp;
use crate::to_the_end::to_the_end;

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
) -> Result<Published, Failure> {
    let declared = Declared::read(headers, repository.settings.max_upload)?;
    if let Some(app) = repository.catalogue.app(&address.app) {
        refuse_early(&app, address, declared.sha256)?;
    }
    let received = receive::receive(repository, body, &declared).await?;
    let (repository, address) = (Arc::clone(repository), address.clone());
    to_the_end(async move { commit(&repository, &address, received).await }).await
}

/// What became of the blob.
enum Outcome {
    Named,
    /// Certainly named by no record: it can go.
    Unnamed(Result<Published, Failure>),
}

async fn commit(
    repository: &Repository,
    address: &Address,
    received: Received,
) -> Result<Published, Failure> {
    let sha256 = received.sha256;
    let blob = received.upload.finish().await?;
    let app = repository.catalogue.app_for_write(&address.app);
    let _writing = app.writing.lock().await;
    let record = ArtefactRecord {
        blob: blob.clone(),
        size: received.size,
        sha256,
        created: timestamp::now(),
    };
    match record_or_compare(repository, &app, address, record).await? {
        Outcome::Named => Ok(Published { new: true, sha256 }),
        Outcome::Unnamed(answer) => {
            repository.storage.delete_blob(&blob).await;
            answer
        }
    }
}

/// After an error of the store the record may be there or not, so the blob stays.
async fn record_or_compare(
    repository: &Repository,
    app: &AppEntry,
    address: &Address,
    record: ArtefactRecord,
) -> Result<Outcome, Failure> {
    let sha256 = record.sha256;
    if let Err(failure) = refuse_early(app, address, Some(sha256)) {
        return Ok(Outcome::Unnamed(Err(failure)));
    }
    let key = keys::artefact(&address.app, &address.version, &address.file);
    let created = repository.storage.create(&key, &record).await?;
    let record = match created {
        Created::Now => record,
        Created::Already => {
            repository
                .storage
                .read_named::<ArtefactRecord>(&key)
                .await?
        }
    };
    let existing = record.sha256;
    if created == Created::Already && existing == sha256 {
        repository.storage.expect_blob(&record.blob).await?;
    }
    let seal: Option<SealRecord> = repository
        .storage
        .read(&keys::seal(&address.app, &address.version))
        .await?;
    let fits = app.write(|state| {
        let version = state.versions.entry(address.version.clone()).or_default();
        version.add_file(address.file.clone(), record);
        if let Some(seal) = seal {
            version.set_seal(seal);
        }
        version.file(&address.file).is_some()
    });
    let answer = if !fits {
        Err(sealed(address))
    } else if existing != sha256 {
        Err(differs(address, existing, sha256))
    } else {
        Ok(Published { new: false, sha256 })
    };
    match (created, answer) {
        (Created::Now, Ok(_)) => Ok(Outcome::Named),
        // The record names it, though no reader will: gc's business, not ours.
        (Created::Now, Err(failure)) => Err(failure),
        (Created::Already, answer) => Ok(Outcome::Unnamed(answer)),
    }
}

fn refuse_early(app: &AppEntry, address: &Address, sha256: Option<Digest>) -> Result<(), Failure> {
    app.read(|state| {
        let Some(version) = state.version(&address.version) else {
            return Ok(());
        };
        match (version.file(&address.file), sha256) {
            (Some(existing), Some(sha256)) if existing.sha256 != sha256 => {
                Err(differs(address, existing.sha256, sha256))
            }
            (None, _) if !version.has_room_for(&address.file) => Err(sealed(address)),
            _ => Ok(()),
        }
    })
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
