//! A repository of what an export holds, entry by entry, with its numbers, generations and times; or of an
//! nginx docroot of the original layout ([`docroot`]).
//!
//! An import that was cut off is taken up where it stopped. What is there already must be the beginning of what
//! is imported: two histories are never mixed.

mod docroot;
mod log;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use repository_api::{AppName, Digest};
use tokio::io::AsyncReadExt as _;

use crate::Repository;
use crate::cli::output::{Progress, complain, say};
use crate::domain::catalogue::{AppState, Event};
use crate::http::failure::Failure;
use crate::http::receive::Received;
use crate::storage::blob::Sum;
use crate::storage::keys::{BlobId, Owner};
use crate::storage::store::Created;
use log::Log;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("{}", .0.detail)]
    Repository(Failure),
    #[error("failed to read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} is neither an export (it has no log/) nor a docroot of the original layout (it has no files/APP/APP.tgz)"
    )]
    Nothing { path: PathBuf },
    #[error(
        "{owner} has another history here from entry {number} on: import into a store that has nothing of it"
    )]
    Different { owner: String, number: u64 },
    #[error("{path:?} is not what was exported: expected sha256:{expected}, found sha256:{found}")]
    Damaged {
        path: PathBuf,
        expected: Digest,
        found: Digest,
    },
    #[error(
        "{path:?} is not in the export: mend it in the store that it comes from, or purge that version there, and export again"
    )]
    Missing { path: PathBuf },
    #[error("not everything was taken over: see what is said of {0}")]
    Failed(String),
    #[error("{path:?}: {reason}")]
    Refused { path: PathBuf, reason: String },
}

impl<T: Into<Failure>> From<T> for ImportError {
    fn from(failure: T) -> Self {
        Self::Repository(failure.into())
    }
}

/// Imports everything, and says what it has done after each app.
pub(crate) async fn import(
    repository: &Repository,
    source: &Path,
    progress: &mut Progress,
) -> Result<(), ImportError> {
    let logs = source.join("log");
    if !logs.is_dir() {
        return docroot::import(repository, source).await;
    }
    let mut failed = Vec::new();
    for (name, path) in children(&logs)? {
        let owner = name
            .strip_suffix(".jsonl")
            .and_then(|name| name.parse().ok());
        let owner: Owner = owner.ok_or_else(|| ImportError::Refused {
            path: path.clone(),
            reason: "it is named as no app is".to_owned(),
        })?;
        match import_log(repository, source, &owner, &path, progress).await {
            Ok((entries, new)) => say(&format!("{owner}: {entries} entries, {new} of them new")),
            // Of the store that is written to: it would fail for the next one, too.
            Err(error @ ImportError::Repository(_)) => return Err(error),
            Err(error) => {
                complain(&format!("{owner} is not taken over: {}", chain(&error)));
                failed.push(owner.to_string());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(ImportError::Failed(failed.join(", ")))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

/// What lies in a directory, by name.
fn children(directory: &Path) -> Result<Vec<(String, PathBuf)>, ImportError> {
    let failed = |source| ImportError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

async fn import_log(
    repository: &Repository,
    source: &Path,
    owner: &Owner,
    path: &Path,
    progress: &mut Progress,
) -> Result<(u64, u64), ImportError> {
    let log = Log::read(path)?;
    let storage = &repository.storage;
    let mut new = 0;
    let mut entries = log.entries()?;
    while let Some(mut entry) = entries.next()? {
        let different = ImportError::Different {
            owner: owner.to_string(),
            number: entry.number,
        };
        match storage.entry::<Event>(owner, entry.number).await? {
            Some(there) if there.id == entry.id => continue,
            Some(_) => return Err(different),
            None => {}
        }
        if let Owner::App(app) = owner {
            for event in &mut entry.events {
                bring_bytes(repository, source, app, &log.end, event, progress).await?;
            }
        }
        if storage.append(owner, &entry).await? == Created::Already {
            return Err(different);
        }
        new += 1;
    }
    if let Owner::App(app) = owner
        && !log.end.is_empty()
    {
        storage.enlist(app).await?;
    }
    Ok((log.end.position, new))
}

/// The bytes that an event names, under a name of this store's own.
async fn bring_bytes(
    repository: &Repository,
    source: &Path,
    app: &AppName,
    end: &AppState,
    event: &mut Event,
    progress: &mut Progress,
) -> Result<(), ImportError> {
    let (Event::Publish {
        version,
        file,
        blob,
        ..
    }
    | Event::Heal {
        version,
        file,
        blob,
    }) = event
    else {
        return Ok(());
    };
    let Some(record) = end.version(version).and_then(|version| version.file(file)) else {
        // It was purged later: its bytes are nowhere.
        *blob = BlobId::new();
        return Ok(());
    };
    progress.count(record.size);
    let path =
        source.join(repository_api::routes::artefact(app, version, file).trim_start_matches('/'));
    if !path.exists() {
        return Err(ImportError::Missing { path });
    }
    let received = upload(repository, &path).await?;
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

/// A file's bytes in an upload.
async fn upload(repository: &Repository, path: &Path) -> Result<Received, ImportError> {
    let failed = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = tokio::fs::File::from_std(regular(path)?);
    let mut upload = repository.storage.begin_blob().await?;
    let mut sum = Sum::default();
    loop {
        let mut chunk = bytes::BytesMut::with_capacity(256 << 10);
        let read = match file.read_buf(&mut chunk).await {
            Ok(read) => read,
            Err(source) => {
                upload.abort().await;
                return Err(failed(source));
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

/// A file, by way of a link if need be; nothing that may make the reader wait for ever.
fn regular(path: &Path) -> Result<File, ImportError> {
    let failed = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        return Ok(file);
    }
    Err(ImportError::Refused {
        path: path.to_owned(),
        reason: "it is no file".to_owned(),
    })
}
