//! The admin token. The server reads it from a file, creates the file if it is missing, and reloads it on changes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::token::{self, Hash};
use crate::http::watched_file::{INTERVAL, Revision, revision};

/// Minimum bytes. A shorter token could be guessed.
const MIN_BYTES: usize = 16;
const MAX_BYTES: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminTokenError {
    #[error(
        "failed to read the admin token from {path:?}: check REPOSITORY_ADMIN_TOKEN_FILE and the permissions of the file"
    )]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "failed to create the admin token file {path:?}: create its directory, or set REPOSITORY_ADMIN_TOKEN_FILE to a writable path"
    )]
    Create { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} does not hold a valid admin token: write one word of {MIN_BYTES} to {MAX_BYTES} bytes, or remove the file so that the repository creates a token"
    )]
    Unusable { path: PathBuf },
}

#[derive(Debug)]
pub(crate) struct Admin {
    hash: RwLock<Hash>,
}

impl Admin {
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, AdminTokenError> {
        let seen = revision(path);
        let admin = Arc::new(Self {
            hash: RwLock::new(read_or_create(path)?),
        });
        tokio::spawn(Arc::clone(&admin).watch(path.to_owned(), seen));
        Ok(admin)
    }

    pub(super) fn is(&self, hash: &Hash) -> bool {
        let admin = self.hash.read().unwrap_or_else(PoisonError::into_inner);
        admin.is(hash)
    }

    /// Reloads the token when the file changes. If the file is unusable, keeps the old token.
    async fn watch(self: Arc<Self>, path: PathBuf, mut seen: Revision) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = revision(&path);
            if now == seen || now.is_none() {
                continue;
            }
            match read(&path) {
                Ok(hash) => {
                    seen = now;
                    let mut known = self.hash.write().unwrap_or_else(PoisonError::into_inner);
                    if !known.is(&hash) {
                        *known = hash;
                        tracing::info!(path = %path.display(), "reloaded the admin token");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "failed to reload the admin token: the old token stays in use");
                }
            }
        }
    }
}

fn read_or_create(path: &Path) -> Result<Hash, AdminTokenError> {
    match read(path) {
        Err(AdminTokenError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)
        }
        read => read,
    }
}

fn read(path: &Path) -> Result<Hash, AdminTokenError> {
    let failed = |source| AdminTokenError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the admin token file is readable by other users: run chmod 600 on it");
    }
    let mut text = String::new();
    // The extra bytes allow for surrounding whitespace and detect a token that is too long.
    file.take(MAX_BYTES as u64 + 100)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let token = text.trim();
    let is_one_word = !token.contains(char::is_whitespace);
    if is_one_word && (MIN_BYTES..=MAX_BYTES).contains(&token.len()) {
        return Ok(Hash::of(token));
    }
    Err(AdminTokenError::Unusable {
        path: path.to_owned(),
    })
}

fn create(path: &Path) -> Result<Hash, AdminTokenError> {
    let failed = |source| AdminTokenError::Create {
        path: path.to_owned(),
        source,
    };
    let token = token::make().map_err(|error| failed(io::Error::other(error)))?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(format!("{token}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    tracing::info!(path = %path.display(), "created an admin token: this file holds the only copy");
    Ok(Hash::of(&token))
}
