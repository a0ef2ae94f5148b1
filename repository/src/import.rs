//! A repository of what an export holds, entry by entry, with its numbers, generations and times; or of an
//! nginx docroot of the original layout ([`docroot`]).
//!
//! An import that was cut off is taken up where it stopped. What is there already must be the beginning of what
//! is imported: two histories are never mixed.

mod docroot;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use repository_api::{AppName, Digest};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::Repository;
use crate::catalogue::{AppState, Event};
use crate::failure::Failure;
use crate::receive::Received;
use crate::storage::entry::Entry;
use crate::storage::keys::{BlobId, Owner};
use crate::storage::store::Created;

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
    #[error("{path:?}, line {line}: it is no entry of a log")]
    Entry {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
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
    mut say: impl FnMut(String),
) -> Result<(), ImportError> {
    let logs = source.join("log");
    if !logs.is_dir() {
        return docroot::import(repository, source, say).await;
    }
    for (name, path) in children(&logs)? {
        let owner = name
            .strip_suffix(".jsonl")
            .and_then(|name| name.parse().ok());
        let owner: Owner = owner.ok_or_else(|| ImportError::Refused {
            path: path.clone(),
            reason: "it is named as no app is".to_owned(),
        })?;
        let (entries, new) = log(repository, source, &owner, &path).await?;
        say(format!("{owner}: {entries} entries, {new} of them new"));
    }
    Ok(())
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

async fn log(
    repository: &Repository,
    source: &Path,
    owner: &Owner,
    path: &Path,
) -> Result<(u64, u64), ImportError> {
    let text = fs::read_to_string(path).map_err(|source| ImportError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut entries: Vec<Entry<Event>> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let entry = serde_json::from_str(text).map_err(|source| ImportError::Entry {
            path: path.to_owned(),
            line,
            source,
        })?;
        entries.push(entry);
    }
    let mut end = AppState::default();
    for entry in &entries {
        let expected = end.position + 1;
        if entry.number != expected || end.apply(entry.clone()).is_err() {
            return Err(ImportError::Refused {
                path: path.to_owned(),
                reason: format!("entry {expected} is missing: it is cut, or put together by hand"),
            });
        }
        refuse_damaged(path, entry)?;
    }
    let storage = &repository.storage;
    let total = entries.len() as u64;
    let mut new = 0;
    for mut entry in entries {
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
                bring_bytes(repository, source, app, &end, event).await?;
            }
        }
        if storage.append(owner, &entry).await? == Created::Already {
            return Err(different);
        }
        new += 1;
    }
    if let Owner::App(app) = owner
        && total > 0
    {
        storage.enlist(app).await?;
    }
    Ok((total, new))
}

/// What says its own digest must have it.
fn refuse_damaged(path: &Path, entry: &Entry<Event>) -> Result<(), ImportError> {
    for event in &entry.events {
        if let Event::Configure {
            sha256, content, ..
        } = event
        {
            let found = Digest::new(Sha256::digest(content.as_bytes()).into());
            if found != *sha256 {
                return Err(ImportError::Damaged {
                    path: path.to_owned(),
                    expected: *sha256,
                    found,
                });
            }
        }
    }
    Ok(())
}

/// The bytes that an event names, under a name of this store's own.
async fn bring_bytes(
    repository: &Repository,
    source: &Path,
    app: &AppName,
    end: &AppState,
    event: &mut Event,
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
    let path =
        source.join(repository_api::routes::artefact(app, version, file).trim_start_matches('/'));
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
    let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut upload = repository.storage.begin_blob().await?;
    let mut hash = Sha256::new();
    let mut size = 0;
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
        size += read as u64;
        hash.update(&chunk);
        if let Err(error) = upload.write(&chunk.freeze()).await {
            upload.abort().await;
            return Err(error.into());
        }
    }
    Ok(Received {
        upload,
        size,
        sha256: Digest::new(hash.finalize().into()),
    })
}
