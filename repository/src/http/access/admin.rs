//! The admin token: read from a file, which is created if it does not exist, and read again when the file changes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::token::{self, Hash};
use crate::http::watched_file::{INTERVAL, Revision, revision};

/// Minimum bytes: a shorter token could be guessed.
const MIN_BYTES: usize = 16;
const MAX_BYTES: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminTokenError {
    #[error("failed to read the admin token in {path:?}, which REPOSITORY_ADMIN_TOKEN_FILE names")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "failed to make an admin token in {path:?}, which REPOSITORY_ADMIN_TOKEN_FILE names: make its directory, or the file"
    )]
    Make { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} is no admin token: expected one word of {MIN_BYTES} to {MAX_BYTES} bytes; remove the file, and the repository makes a token"
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
            hash: RwLock::new(read_or_make(path)?),
        });
        tokio::spawn(Arc::clone(&admin).follow(path.to_owned(), seen));
        Ok(admin)
    }

    pub(super) fn is(&self, hash: &Hash) -> bool {
        let admin = self.hash.read().unwrap_or_else(PoisonError::into_inner);
        admin.is(hash)
    }

    /// Loads the token again whenever the file changes. An unusable file leaves the old token in use.
    async fn follow(self: Arc<Self>, path: PathBuf, mut seen: Revision) {
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
                        tracing::info!(path = %path.display(), "loaded a new admin token");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the old admin token stays in use");
                }
            }
        }
    }
}

fn read_or_make(path: &Path) -> Result<Hash, AdminTokenError> {
    match read(path) {
        Err(AdminTokenError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(path)
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
        tracing::warn!(path = %path.display(), "users other than the owner may read the admin token: run chmod 600");
    }
    let mut text = String::new();
    // Room for blanks around the token, and for the excess of one that is too long.
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

fn make(path: &Path) -> Result<Hash, AdminTokenError> {
    let failed = |source| AdminTokenError::Make {
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
    tracing::info!(path = %path.display(), "made an admin token: this file holds the only copy");
    Ok(Hash::of(&token))
}
