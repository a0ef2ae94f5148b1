//! The admin token: in a file, made if there is none.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::token::{self, Hash};

/// Bytes at the least: a shorter one could be guessed.
const SHORTEST: usize = 16;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminTokenError {
    #[error("failed to read the admin token in {path:?}, which REPOSITORY_ADMIN_TOKEN_FILE names")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "failed to make an admin token in {path:?}, which REPOSITORY_ADMIN_TOKEN_FILE names: make its directory, or the file"
    )]
    Make { path: PathBuf, source: io::Error },
    #[error(
        "the admin token in {path:?} is too short: {SHORTEST} bytes at the least; remove the file, and one is made"
    )]
    Short { path: PathBuf },
}

pub(crate) fn read_or_make(path: &Path) -> Result<Hash, AdminTokenError> {
    let failed = |source| AdminTokenError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make(path),
        file => file.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others than its owner may read the admin token: chmod 600");
    }
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if token.len() < SHORTEST {
        return Err(AdminTokenError::Short {
            path: path.to_owned(),
        });
    }
    Ok(Hash::of(token))
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
