//! `OFFLINE=allow`: the release that was started last is kept beside the trees, config and all, for a
//! start while the repository is away. Only its owner may read it: config holds secrets.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use repository_api::Digest;
use serde::{Deserialize, Serialize};

use super::{Layer, Release, plain};
use crate::exit::{Exit, Failure};
use crate::settings::Settings;
use crate::verify::digest_of;

/// What a release is made of again; everything is checked anew then.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Kept {
    /// The release document as it came.
    Document(String),
    /// From a plain file server: layers by name, and the checksum.
    Plain {
        layers: Vec<(String, String)>,
        sha256: Option<Digest>,
    },
}

/// Shows nothing: it holds the config.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// One file for each thing that can be asked for.
fn path(settings: &Settings) -> PathBuf {
    let environment = settings.environment.as_ref().map(ToString::to_string);
    let asked = [
        settings.origin.shown("/"),
        settings.app.to_string(),
        environment.unwrap_or_default(),
    ];
    let digest = digest_of(asked.join("\0").as_bytes());
    settings.dir.join(format!(".release-{digest}"))
}

/// Keeps `kept`, in place of what was kept before.
pub(crate) fn write(settings: &Settings, kept: &Kept) -> io::Result<()> {
    let path = path(settings);
    let random = RandomState::new().hash_one(std::process::id());
    let new = path.with_extension(format!("new-{random:016x}"));
    let written = serde_json::to_vec(kept)
        .map_err(io::Error::other)
        .and_then(|text| {
            let mut options = File::options();
            options.write(true).create_new(true).mode(0o600);
            options.open(&new)?.write_all(&text)?;
            fs::rename(&new, &path)
        });
    if written.is_err() {
        // Nothing half-written stays; that it cannot be removed either is told by the error.
        let _ = fs::remove_file(&new);
    }
    written
}

/// The release that was kept, checked as if it came from the repository.
pub(crate) fn read(settings: &Settings) -> Result<Option<Release>, Failure> {
    let path = path(settings);
    let kept = match read_own(&path) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(unusable(&path.display().to_string()).because(error));
        }
    };
    match serde_json::from_slice(&kept) {
        Ok(Kept::Document(body)) => super::read(body.as_bytes(), settings).map(Some),
        // From a plain file server comes nothing that is signed or numbered, and only a bare app.
        Ok(Kept::Plain { .. })
            if settings.trust.keys.is_some()
                || settings.trust.min_release.is_some()
                || settings.app.reference.is_some() =>
        {
            Err(unusable(&path.display().to_string()))
        }
        Ok(Kept::Plain { layers, sha256 }) => {
            let layers = layers.into_iter().map(|(name, content)| Layer {
                name,
                content: content.into_bytes(),
            });
            Ok(Some(plain::release(settings, layers.collect(), sha256)))
        }
        Err(_) => Err(unusable(&path.display().to_string())),
    }
}

/// Reads a file of our own: nobody else may have written it, nor put a link or a pipe in its place.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "somebody else could have written it",
        ));
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn unusable(path: &str) -> Failure {
    Failure::new(
        Exit::CannotWrite,
        format!(
            "the release that was kept for a start without the repository cannot be read from {path}: remove it"
        ),
    )
}
