//! `OFFLINE=allow`: the last started release is saved beside the trees, for a start without the
//! repository. Only the owner can read the file, because config can hold secrets.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use repository_api::{Digest, Reference};
use serde::{Deserialize, Serialize};

use super::verified::{Layer, Release, Saved};
use super::{document, plain};
use crate::exit::{Exit, Failure};
use crate::settings::Settings;
use crate::verify::digest_of;

const PREFIX: &str = ".release-";

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct SavedFile {
    /// The tree of the release.
    tree: Digest,
    /// Whether the settings named this version or release, and not `latest` or a channel.
    pinned: bool,
    release: Saved,
}

/// A file for each combination of repository, app reference and environment.
fn path(settings: &Settings) -> PathBuf {
    let environment = settings.environment.as_ref().map(ToString::to_string);
    let key = [
        settings.origin.shown("/"),
        settings.app.to_string(),
        environment.unwrap_or_default(),
    ];
    let digest = digest_of(key.join("\0").as_bytes());
    settings.dir.join(format!("{PREFIX}{digest}"))
}

/// Saves a release, and replaces the one saved before.
pub(crate) fn write(settings: &Settings, release: &Saved, tree: Digest) -> io::Result<()> {
    let path = path(settings);
    let random = RandomState::new().hash_one(std::process::id());
    let new = path.with_extension(format!("new-{random:016x}"));
    let content = SavedFile {
        tree,
        pinned: matches!(
            settings.app.reference,
            Some(Reference::Version(_) | Reference::Release(_))
        ),
        release: release.clone(),
    };
    let written = serde_json::to_vec(&content)
        .map_err(io::Error::other)
        .and_then(|text| {
            let mut options = File::options();
            options.write(true).create_new(true).mode(0o600);
            options.open(&new)?.write_all(&text)?;
            fs::rename(&new, &path)
        });
    if written.is_err() {
        // The first error says enough.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Reads the saved release, and verifies it like an answer of the repository.
pub(crate) fn read(settings: &Settings) -> Result<Option<Release>, Failure> {
    let path = path(settings);
    let unusable = || {
        Failure::new(
            Exit::CannotWrite,
            format!(
                "failed to read the saved release from {}: remove the file",
                path.display()
            ),
        )
    };
    let content = match read_own(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable().because(error)),
    };
    let saved: SavedFile = serde_json::from_slice(&content).map_err(|_| unusable())?;
    match saved.release {
        Saved::Document(body) => {
            document::read(body.as_bytes(), settings, &settings.app.resolved())
                .map(Some)
                .map_err(Into::into)
        }
        // A plain file server serves only a bare app, and nothing that is signed or numbered.
        Saved::Plain { .. }
            if settings.trust.keys.is_some()
                || settings.trust.min_release.is_some()
                || settings.app.reference.is_some() =>
        {
            Err(unusable())
        }
        Saved::Plain { layers, sha256 } => {
            let layers = layers.into_iter().map(|(name, content)| Layer {
                name,
                content: content.into_bytes(),
            });
            Ok(Some(plain::release(settings, layers.collect(), sha256)))
        }
    }
}

/// The saved releases in a directory.
#[derive(Debug)]
pub(crate) struct SavedReleases(Vec<(PathBuf, Digest, bool)>);

impl SavedReleases {
    pub(crate) fn in_directory(dir: &Path) -> Self {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let saved = entries.filter_map(|entry| {
            let name = entry.file_name();
            if !name.to_str()?.starts_with(PREFIX) {
                return None;
            }
            let path = entry.path();
            let saved: SavedFile = serde_json::from_slice(&read_own(&path).ok()?).ok()?;
            Some((path, saved.tree, saved.pinned))
        });
        Self(saved.collect())
    }

    /// Whether a release of `latest` or a channel needs the tree. Pinned releases do not count: each
    /// deployment names another one.
    pub(crate) fn need(&self, tree: Digest) -> bool {
        self.0
            .iter()
            .any(|(_, needed, pinned)| *needed == tree && !pinned)
    }

    /// Removes the saved releases of a tree that is gone: they cannot start any more.
    pub(crate) fn forget(&self, tree: Digest) {
        for (path, needed, _) in &self.0 {
            if *needed == tree
                && let Err(error) = fs::remove_file(path)
            {
                tracing::warn!("failed to remove {}: {error}", path.display());
            }
        }
    }
}

/// Reads a file that no other user could have written. Refuses links and pipes.
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
            "another user could have written it",
        ));
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}
