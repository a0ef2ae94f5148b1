//! The admin token: in a file, made if there is none, and read again when it changes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::token::{self, Hash};
use crate::http::watched_file::{INTERVAL, Revision, revision};

/// Bytes at the least: a shorter one could be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminTokenError {
    #[error("failed to read the admin token in {path:?}, which REPOSITORY_ADMIN_TOKEN_FILE names")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "failed to make an admin token in {path:?}, which REPOSITORY_ADMIN_TOKEN_FILE names: make its directory, or the file"
    )]
    Make { path: PathBuf, source: io::Error },
    #[error(
        "what is in {path:?} is no admin token: expected one word of {SHORTEST} to {LONGEST} bytes; remove the file, and one is made"
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

    /// Takes another one up. A file that cannot be used leaves the old one in use.
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
                        tracing::info!(path = %path.display(), "the admin token is another one from now on");
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
        tracing::warn!(path = %path.display(), "others than its owner may read the admin token: chmod 600");
    }
    let mut text = String::new();
    // One more, so that a longer one is not taken for its beginning; and blanks around it.
    file.take(LONGEST as u64 + 100)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let token = text.trim();
    let is_one_word = !token.contains(char::is_whitespace);
    if is_one_word && (SHORTEST..=LONGEST).contains(&token.len()) {
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
    tracing::info!(path = %path.display(), "made an admin token: it is in this file, and nowhere else");
    Ok(Hash::of(&token))
}
