//! Import of an exported tree, entry by entry, with its numbers, generations and times; or of an nginx docroot of the
//! original layout ([`docroot`]).
//!
//! A second import resumes an interrupted one. A log in the store must be the beginning of the imported one: two
//! histories are never mixed.

mod docroot;
mod log;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use repository_api::{AppName, Digest};
use tokio::io::AsyncReadExt as _;

use super::report::Report;
use crate::domain::error::Error;
use crate::domain::event::AppEvent;
use crate::domain::publish::{Publisher, Received};
use crate::domain::state::LogState;
use crate::domain::state::app::AppState;
use crate::domain::state::default_layer::DefaultLayerState;
use crate::domain::state::tokens::TokensState;
use crate::storage::blob::Sum;
use crate::storage::entry::Entry;
use crate::storage::keys::{BlobId, Owner};
use crate::storage::store::Created;
use crate::storage::{Storage, chain};
use log::Log;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error(transparent)]
    Repository(Error),
    #[error("failed to read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} is neither an export (it has no log/) nor a docroot of the original layout (it has no files/APP/APP.tgz)"
    )]
    UnknownLayout { path: PathBuf },
    #[error(
        "{owner} has another history in this store from entry {number} on: import into an empty store"
    )]
    ForeignHistory { owner: String, number: u64 },
    #[error(
        "{path:?} differs from what was exported: expected sha256:{expected}, found sha256:{found}"
    )]
    Damaged {
        path: PathBuf,
        expected: Digest,
        found: Digest,
    },
    #[error(
        "{path:?} is not in the export: publish the same file again where the export comes from, or purge the version there, and export again"
    )]
    Missing { path: PathBuf },
    #[error("failed to import {0}: see the reasons above")]
    Failed(String),
    #[error("{path:?}: {reason}")]
    Refused { path: PathBuf, reason: String },
}

impl<T: Into<Error>> From<T> for ImportError {
    fn from(error: T) -> Self {
        Self::Repository(error.into())
    }
}

/// Imports everything, and reports each app.
pub(crate) async fn import(
    publisher: &Publisher,
    source: &Path,
    report: &mut dyn Report,
) -> Result<(), ImportError> {
    let storage = publisher.catalogue().storage();
    let logs = source.join("log");
    if !logs.is_dir() {
        return docroot::import(publisher, source, report).await;
    }
    let mut failed = Vec::new();
    for (name, path) in children(&logs)? {
        let owner = name
            .strip_suffix(".jsonl")
            .and_then(|name| name.parse().ok());
        let owner: Owner =
            owner.ok_or_else(|| refused(&path, &"its name is not that of an app"))?;
        match import_owner(storage, source, &owner, &path, report).await {
            Ok((entries, new)) => {
                report.done(&format!("{owner}: {entries} entries, {new} of them new"));
            }
            // The store failed, so the next app would fail too.
            Err(error @ ImportError::Repository(_)) => return Err(error),
            Err(error) => {
                report.skipped(&format!("skipped {owner}: {}", chain(&error)));
                failed.push(owner.to_string());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(ImportError::Failed(failed.join(", ")))
}

/// The files of a directory, sorted by name.
fn children(directory: &Path) -> Result<Vec<(String, PathBuf)>, ImportError> {
    let failed = failed_to_read(directory);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Imports the log at `path`; returns the number of its entries, and how many of them are new.
async fn import_owner(
    storage: &Storage,
    source: &Path,
    owner: &Owner,
    path: &Path,
    report: &mut dyn Report,
) -> Result<(u64, u64), ImportError> {
    match owner {
        Owner::App(app) => import_app(storage, source, (owner, app), path, report).await,
        Owner::DefaultLayer => {
            let log = Log::<DefaultLayerState>::read(path)?;
            import_log(storage, owner, &log).await
        }
        Owner::Tokens => {
            let log = Log::<TokensState>::read(path)?;
            import_log(storage, owner, &log).await
        }
    }
}

async fn import_app(
    storage: &Storage,
    source: &Path,
    (owner, app): (&Owner, &AppName),
    path: &Path,
    report: &mut dyn Report,
) -> Result<(u64, u64), ImportError> {
    let log = Log::<AppState>::read(path)?;
    let mut new = 0;
    let mut entries = log.entries()?;
    while let Some(mut entry) = entries.next()? {
        if is_imported(storage, owner, &entry).await? {
            continue;
        }
        for event in &mut entry.events {
            copy_bytes(storage, source, (app, &log.end), event, report).await?;
        }
        append(storage, owner, &entry).await?;
        new += 1;
    }
    if !log.end.is_empty() {
        storage.register(app).await?;
    }
    Ok((log.end.position(), new))
}

/// Imports a log that names no bytes.
async fn import_log<S: LogState>(
    storage: &Storage,
    owner: &Owner,
    log: &Log<S>,
) -> Result<(u64, u64), ImportError> {
    let mut new = 0;
    let mut entries = log.entries()?;
    while let Some(entry) = entries.next()? {
        if !is_imported(storage, owner, &entry).await? {
            append(storage, owner, &entry).await?;
            new += 1;
        }
    }
    Ok((log.end.position(), new))
}

/// Whether the store has this entry. Fails if it has another entry with this number.
async fn is_imported<E: serde::de::DeserializeOwned>(
    storage: &Storage,
    owner: &Owner,
    entry: &Entry<E>,
) -> Result<bool, ImportError> {
    match storage.entry::<E>(owner, entry.number).await? {
        Some(existing) if existing.id == entry.id => Ok(true),
        Some(_) => Err(foreign_history(owner, entry.number)),
        None => Ok(false),
    }
}

async fn append<E: serde::Serialize + serde::de::DeserializeOwned>(
    storage: &Storage,
    owner: &Owner,
    entry: &Entry<E>,
) -> Result<(), ImportError> {
    match storage.append(owner, entry).await? {
        Created::Now => Ok(()),
        Created::Already => Err(foreign_history(owner, entry.number)),
    }
}

fn foreign_history(owner: &Owner, number: u64) -> ImportError {
    ImportError::ForeignHistory {
        owner: owner.to_string(),
        number,
    }
}

/// Copies the bytes that an event names into a blob of this store.
async fn copy_bytes(
    storage: &Storage,
    source: &Path,
    (app, end): (&AppName, &AppState),
    event: &mut AppEvent,
    report: &mut dyn Report,
) -> Result<(), ImportError> {
    let (AppEvent::Publish {
        version,
        file,
        blob,
        ..
    }
    | AppEvent::Heal {
        version,
        file,
        blob,
    }) = event
    else {
        return Ok(());
    };
    let Some(record) = end.version(version).and_then(|version| version.file(file)) else {
        // The version was purged later, so its bytes are gone.
        *blob = BlobId::new();
        return Ok(());
    };
    report.file(record.size);
    let path =
        source.join(repository_api::routes::artefact(app, version, file).trim_start_matches('/'));
    if !path.exists() {
        return Err(ImportError::Missing { path });
    }
    let received = upload(storage, &path).await?;
    if (received.size, received.sha256) != (record.size, record.sha256) {
        let found = received.sha256;
        received.upload.abort().await;
        return Err(ImportError::Damaged {
            path,
            expected: record.sha256,
            found,
        });
    }
    *blob = received.upload.finish().await?;
    Ok(())
}

/// Streams a file into an upload.
async fn upload(storage: &Storage, path: &Path) -> Result<Received, ImportError> {
    let mut file = tokio::fs::File::from_std(regular(path)?);
    let mut upload = storage.begin_blob().await?;
    let mut sum = Sum::default();
    loop {
        let mut chunk = bytes::BytesMut::with_capacity(256 << 10);
        let read = match file.read_buf(&mut chunk).await {
            Ok(read) => read,
            Err(source) => {
                upload.abort().await;
                return Err(failed_to_read(path)(source));
            }
        };
        if read == 0 {
            break;
        }
        sum.add(&chunk);
        if let Err(error) = upload.write(&chunk.freeze()).await {
            upload.abort().await;
            return Err(error.into());
        }
    }
    let (size, sha256) = sum.end();
    Ok(Received {
        upload,
        size,
        sha256,
    })
}

/// Opens a regular file, also through a link. Anything else could block the reader for ever.
fn regular(path: &Path) -> Result<File, ImportError> {
    let failed = failed_to_read(path);
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(&failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        return Ok(file);
    }
    Err(refused(path, &"it is not a regular file"))
}

fn failed_to_read(path: &Path) -> impl Fn(io::Error) -> ImportError {
    move |source| ImportError::Read {
        path: path.to_owned(),
        source,
    }
}

fn refused(path: &Path, reason: &impl ToString) -> ImportError {
    ImportError::Refused {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
