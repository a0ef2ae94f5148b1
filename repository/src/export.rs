//! A tree of everything: any static server can serve it, and `import` makes a repository of it again.
//!
//! ```text
//! log/{app}.jsonl                           what happened, an entry a line: what import reads
//! artefacts/{app}/{version}/{file}          and {file}.sha256
//! config/{app}/{app}.config                 the newest of each layer
//! channels/{app}/{channel}                  the release that it points at
//! releases/{app}/{reference}                the documents that bootstrap asks for, with all layers
//! files/{app}/{app}.tgz                     the artefact of latest, as the original design had it
//! ```
//!
//! What is there already and cannot have changed is left: a second export takes up where one was cut off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use repository_api::{AppName, Digest, Reference, ReleaseNumber, routes};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::Repository;
use crate::catalogue::{AppState, ArtefactRecord, Event};
use crate::failure::Failure;
use crate::handlers::legacy::archive;
use crate::releases;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::storage::store::Content;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("{}", .0.detail)]
    Repository(Failure),
    #[error("failed to write {path:?}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{subject} is damaged: expected sha256:{expected}, found sha256:{found}; publish the same file again, or run repository check"
    )]
    Damaged {
        subject: String,
        expected: Digest,
        found: Digest,
    },
}

impl<T: Into<Failure>> From<T> for ExportError {
    fn from(failure: T) -> Self {
        Self::Repository(failure.into())
    }
}

/// Exports everything, and says what it has done after each app.
pub(crate) async fn export(
    repository: &Repository,
    root: &Path,
    mut say: impl FnMut(String),
) -> Result<(), ExportError> {
    let mut owners = repository.storage.owners().await?;
    // The layer under every app last: so it has every generation that an app's releases name.
    owners.sort_by(|left, right| right.cmp(left));
    for owner in owners {
        let tree = Tree {
            repository,
            root,
            owner: &owner,
        };
        say(tree.export().await?);
    }
    Ok(())
}

struct Tree<'a> {
    repository: &'a Repository,
    root: &'a Path,
    owner: &'a Owner,
}

impl Tree<'_> {
    async fn export(&self) -> Result<String, ExportError> {
        let mut lines = Vec::new();
        let mut state = AppState::default();
        let take = |entry: Entry<Event>| {
            lines.push(serde_json::to_string(&entry).unwrap_or_default());
            let _ = state.apply(entry);
        };
        let storage = &self.repository.storage;
        storage.read_log(self.owner, 0, take).await?;
        let mut files = 0;
        if let Owner::App(app) = self.owner {
            for (version, file, record) in state.artefacts() {
                let path = routes::artefact(app, version, file);
                files += u64::from(self.artefact(&path, record).await?);
                self.write(&format!("{path}.sha256"), record.sha256.line(file.as_str()))?;
            }
            self.channels(app, &state)?;
            self.documents(app, &state).await?;
            self.legacy(app, &state).await?;
        }
        self.layers(&state).await?;
        // Last: where the log is, everything that it names is.
        let entries = lines.len();
        lines.push(String::new());
        self.write(&format!("/log/{}.jsonl", self.owner), lines.join("\n"))?;
        Ok(format!(
            "{}: {entries} entries, {} artefacts, {files} of them new",
            self.owner,
            state.artefacts().count()
        ))
    }

    fn place(&self, path: &str) -> Result<PathBuf, ExportError> {
        let path = self.root.join(path.trim_start_matches('/'));
        let directory = path.parent().unwrap_or(self.root);
        fs::create_dir_all(directory).map_err(|source| ExportError::Write {
            path: directory.to_owned(),
            source,
        })?;
        Ok(path)
    }

    /// All of it, or what was there before.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<(), ExportError> {
        let path = self.place(path)?;
        let beside = path.with_extension("unfinished");
        fs::write(&beside, content)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|source| ExportError::Write { path, source })
    }

    /// Returns whether it was not there.
    async fn artefact(&self, path: &str, record: &ArtefactRecord) -> Result<bool, ExportError> {
        let place = self.place(path)?;
        if fs::metadata(&place).is_ok_and(|found| found.len() == record.size) {
            return Ok(false);
        }
        let content = self
            .repository
            .storage
            .blob(record.located(), 0..record.size)
            .await?;
        let beside = place.with_extension("unfinished");
        let found = copy(content, &beside)
            .await
            .map_err(|source| ExportError::Write {
                path: beside.clone(),
                source,
            })?;
        if found != record.sha256 {
            return Err(ExportError::Damaged {
                subject: path.to_owned(),
                expected: record.sha256,
                found,
            });
        }
        fs::rename(&beside, &place).map_err(|source| ExportError::Write {
            path: place,
            source,
        })?;
        Ok(true)
    }

    async fn layers(&self, state: &AppState) -> Result<(), ExportError> {
        for pin in state.pins() {
            let path = match self.owner {
                Owner::Default => "/config/_default/_default.config".to_owned(),
                Owner::App(app) => routes::config(app, &pin.layer),
            };
            if let Some(generation) = state.generation(&pin.layer, pin.generation) {
                let layers = &self.repository.layers;
                let content = layers.content(self.owner, &pin.layer, generation).await?;
                self.write(&path, content)?;
            }
        }
        Ok(())
    }

    fn channels(&self, app: &AppName, state: &AppState) -> Result<(), ExportError> {
        for channel in state.channels.keys() {
            if let Some((_, entry)) = state.channel(channel) {
                let line = format!("r{}\n", entry.release);
                self.write(&format!("/channels/{app}/{channel}"), line)?;
            }
        }
        Ok(())
    }

    async fn documents(&self, app: &AppName, state: &AppState) -> Result<(), ExportError> {
        let versions = state.versions.iter().filter(|(_, found)| !found.is_empty());
        let versions = versions.map(|(version, _)| Reference::Version(version.clone()));
        let numbers = state
            .releases
            .keys()
            .filter_map(|number| ReleaseNumber::new(*number));
        let channels = state.channels.keys().cloned().map(Reference::Channel);
        let latest = state.latest().map(|_| Reference::Latest);
        let references = versions
            .chain(numbers.map(Reference::Release))
            .chain(channels)
            .chain(latest);
        for reference in references {
            let resolved = match releases::resolve(self.repository, app, &reference).await {
                // Of a release whose version was purged.
                Err(failure) if failure.status == http::StatusCode::GONE => continue,
                resolved => resolved?,
            };
            let document = releases::document(self.repository, resolved, |_| true).await?;
            let text = serde_json::to_string(&document).unwrap_or_default();
            self.write(&format!("/releases/{app}/{reference}"), text)?;
        }
        Ok(())
    }

    async fn legacy(&self, app: &AppName, state: &AppState) -> Result<(), ExportError> {
        let Some(version) = state.latest() else {
            return Ok(());
        };
        let Some(found) = state.version(version) else {
            return Ok(());
        };
        if let Ok(chosen) = archive(found.artefacts(), app, version)
            && let Some(record) = found.file(&chosen.file)
        {
            let path = routes::legacy_artefact(app);
            // Another version may have the same size.
            let _ = fs::remove_file(self.place(&path)?);
            self.artefact(&path, record).await?;
            let line = record.sha256.line(&format!("{app}.tgz"));
            self.write(&routes::legacy_checksum(app), line)?;
        }
        Ok(())
    }
}

/// Returns the digest of what was written.
async fn copy(content: Content, path: &Path) -> io::Result<Digest> {
    let mut file = tokio::fs::File::create(path).await?;
    let mut hash = Sha256::new();
    match content {
        Content::Whole(bytes) => {
            hash.update(&bytes);
            file.write_all(&bytes).await?;
        }
        Content::Stream(mut stream) => {
            while let Some(bytes) = stream.next().await {
                let bytes = bytes?;
                hash.update(&bytes);
                file.write_all(&bytes).await?;
            }
        }
    }
    file.flush().await?;
    Ok(Digest::new(hash.finalize().into()))
}
