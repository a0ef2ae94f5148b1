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
//! What is there already and has the right bytes is left: a second export takes up where one was cut off.
//! What was purged since the last one goes from the tree, too.

mod tree;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use repository_api::{AppName, FileName, Reference, ReleaseNumber, VersionName, routes};
use serde::{Deserialize, Serialize};

use crate::Repository;
use crate::catalogue::{AppState, ArtefactRecord, Event, is_still_named};
use crate::failure::Failure;
use crate::handlers::legacy::archive;
use crate::progress::{Progress, complain, say};
use crate::releases;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::storage::{Enlisted, StorageError};
use tree::{Tree, Unfinished};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("{}", .0.detail)]
    Repository(Failure),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("failed to write {path:?}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} has a history that is not the beginning of what the store has, so it is the backup of another repository, or the store has lost something: export into an empty directory"
    )]
    Other { path: PathBuf },
    #[error("failed to write an entry down")]
    Encode(#[from] serde_json::Error),
    #[error("{0} changed all the time: export again")]
    Unsteady(String),
    #[error(
        "{0} artefacts are damaged or missing, and not in the export: publish the same files again, or purge those versions, and export again"
    )]
    Damaged(usize),
    #[error("{0} apps are not in the export: mend what is said of them, and export again")]
    Failed(usize),
}

impl ExportError {
    /// With all that caused it.
    fn chain(&self) -> String {
        match self {
            Self::Storage(error) => error.chain(),
            error => error.to_string(),
        }
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        Self::Repository(failure)
    }
}

/// The last line of an exported log: how many entries there are, and the digest of their lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) entries: u64,
    pub(crate) sha256: repository_api::Digest,
}

/// What is purged or healed while its bytes are copied makes it necessary to begin an app again.
const ATTEMPTS: usize = 10;

/// Exports everything, and says what it has done after each app. What is damaged is named and passed over, and
/// then the export fails.
pub(crate) async fn export(
    repository: &Repository,
    root: &Path,
    progress: &mut Progress,
) -> Result<(), ExportError> {
    let owners = repository.storage.owners().await?;
    let tree = Tree::open(root)?;
    refuse_strangers(&tree, &owners)?;
    let (mut damaged, mut failed) = (0, 0);
    // The layer under every app last: so it has every generation that an app's releases name.
    for owner in owners.keys().rev() {
        match export_app(repository, &tree, owner, progress).await {
            Ok(count) => damaged += count,
            // Of the disk that is written to: it would fail for the next one, too.
            Err(error @ (ExportError::Write { .. } | ExportError::Other { .. })) => {
                return Err(error);
            }
            Err(error) => {
                failed += 1;
                complain(&format!("{owner} is left out: {}", error.chain()));
            }
        }
    }
    tree.close()?;
    match (damaged, failed) {
        (0, 0) => Ok(()),
        (0, failed) => Err(ExportError::Failed(failed)),
        (damaged, _) => Err(ExportError::Damaged(damaged)),
    }
}

/// A log in the tree of an app that the store does not have is another repository's.
fn refuse_strangers(tree: &Tree, owners: &BTreeMap<Owner, Enlisted>) -> Result<(), ExportError> {
    for name in tree.names("/log")? {
        let owner = name.strip_suffix(".jsonl");
        let owner = owner.and_then(|name| name.parse::<Owner>().ok());
        if owner.is_some_and(|owner| !owners.contains_key(&owner)) {
            return Err(ExportError::Other {
                path: tree.path(&format!("/log/{name}")),
            });
        }
    }
    Ok(())
}

/// Returns how many artefacts are damaged.
async fn export_app(
    repository: &Repository,
    tree: &Tree,
    owner: &Owner,
    progress: &mut Progress,
) -> Result<usize, ExportError> {
    for _ in 0..ATTEMPTS {
        let mut export = Export {
            repository,
            tree,
            owner,
            state: AppState::default(),
            damaged: 0,
            new: 0,
            progress,
        };
        if let Outcome::Done = export.all().await? {
            return Ok(export.damaged);
        }
    }
    Err(ExportError::Unsteady(owner.to_string()))
}

enum Outcome {
    Done,
    /// Something was purged, or healed, that was about to be copied.
    Changed,
}

struct Export<'a> {
    repository: &'a Repository,
    tree: &'a Tree,
    owner: &'a Owner,
    state: AppState,
    damaged: usize,
    new: usize,
    progress: &'a mut Progress,
}

impl Export<'_> {
    async fn all(&mut self) -> Result<Outcome, ExportError> {
        let log = self.log().await?;
        let entries = self.state.position;
        if let Owner::App(app) = self.owner {
            if let Outcome::Changed = self.artefacts(app).await? {
                log.abandon();
                return Ok(Outcome::Changed);
            }
            self.channels(app)?;
            self.documents(app).await?;
            if let Outcome::Changed = self.legacy(app).await? {
                log.abandon();
                return Ok(Outcome::Changed);
            }
            self.remove_purged(app)?;
        }
        self.layers().await?;
        // Last, and once all else is durable: where the log is, everything that it names is.
        self.tree.sync()?;
        self.tree
            .finish(log, &format!("/log/{}.jsonl", self.owner))?;
        let (artefacts, new) = (self.state.artefacts().count(), self.new);
        say(&format!(
            "{}: {entries} entries, {artefacts} artefacts, {new} of them new",
            self.owner
        ));
        Ok(Outcome::Done)
    }

    fn log_path(&self) -> String {
        format!("/log/{}.jsonl", self.owner)
    }

    /// The log as it is now, and in `state` what follows from it.
    async fn log(&mut self) -> Result<Unfinished, ExportError> {
        let mut there = self.tree.ids(&self.log_path())?.into_iter();
        let mut is_continued = true;
        let mut file = self.tree.begin()?;
        let mut written = Ok(());
        let state = &mut self.state;
        let take = |entry: Entry<Event>| {
            is_continued &= there.next().is_none_or(|id| id == entry.id);
            if written.is_ok() {
                written = line(&entry).and_then(|line| file.write(&line));
            }
            let _ = state.apply(entry);
        };
        let storage = &self.repository.storage;
        storage.read_log(self.owner, 0, take).await?;
        written?;
        if !is_continued || there.next().is_some() {
            file.abandon();
            return Err(ExportError::Other {
                path: self.tree.path(&self.log_path()),
            });
        }
        let (_, sha256) = file.sum();
        let end = End {
            entries: self.state.position,
            sha256,
        };
        file.write(&line(&end)?)?;
        Ok(file)
    }

    async fn artefacts(&mut self, app: &AppName) -> Result<Outcome, ExportError> {
        let artefacts: Vec<Artefact> = self
            .state
            .artefacts()
            .map(|(version, file, record)| Artefact {
                version: version.clone(),
                file: file.clone(),
                record: record.clone(),
            })
            .collect();
        for artefact in artefacts {
            let path = routes::artefact(app, &artefact.version, &artefact.file);
            if let Outcome::Changed = self.artefact(&path, &artefact).await? {
                return Ok(Outcome::Changed);
            }
            if self.tree.has_file(&path) {
                let line = artefact.record.sha256.line(artefact.file.as_str());
                self.tree
                    .write(&format!("{path}.sha256"), line.as_bytes())?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn artefact(&mut self, path: &str, artefact: &Artefact) -> Result<Outcome, ExportError> {
        let Artefact {
            version,
            file,
            record,
        } = artefact;
        self.progress.count(record.size);
        if self.tree.has(path, record.size, record.sha256) {
            return Ok(Outcome::Done);
        }
        let problem = match self.copy(record).await? {
            Ok(copy) if copy.sum() == (record.size, record.sha256) => {
                self.tree.finish(copy, path)?;
                self.new += 1;
                return Ok(Outcome::Done);
            }
            Ok(copy) => {
                let (_, found) = copy.sum();
                copy.abandon();
                format!("expected sha256:{}, found sha256:{found}", record.sha256)
            }
            Err(problem) => problem,
        };
        let name = (version, file, record.blob);
        let position = self.state.position;
        if !is_still_named(&self.repository.storage, self.owner, name, position).await? {
            return Ok(Outcome::Changed);
        }
        self.damaged += 1;
        self.tree.remove(path)?;
        complain(&format!(
            "{} {version} {file} is left out: {problem}",
            self.owner
        ));
        Ok(Outcome::Done)
    }

    /// What lies in the store, as it is; or why it cannot be read.
    async fn copy(
        &self,
        record: &ArtefactRecord,
    ) -> Result<Result<Unfinished, String>, ExportError> {
        let mut chunks = match self.repository.storage.read_blob(record.blob).await {
            Ok(Some(chunks)) => chunks,
            Ok(None) => return Ok(Err("its bytes are missing".to_owned())),
            Err(error) => return Ok(Err(error.chain())),
        };
        let mut copy = self.tree.begin()?;
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => copy.write(&chunk)?,
                Err(error) => {
                    copy.abandon();
                    return Ok(Err(format!("its bytes cannot be read ({error})")));
                }
            }
        }
        Ok(Ok(copy))
    }

    async fn layers(&self) -> Result<(), ExportError> {
        for pin in self.state.pins() {
            let path = match self.owner {
                Owner::Default => "/config/_default/_default.config".to_owned(),
                Owner::App(app) => routes::config(app, &pin.layer),
                Owner::Tokens => continue,
            };
            if let Some(generation) = self.state.generation(&pin.layer, pin.generation) {
                let layers = &self.repository.layers;
                let content = layers.content(self.owner, &pin.layer, generation).await?;
                self.tree.write(&path, content.as_bytes())?;
            }
        }
        Ok(())
    }

    fn channels(&self, app: &AppName) -> Result<(), ExportError> {
        for channel in self.state.channels.keys() {
            if let Some((_, entry)) = self.state.channel(channel) {
                let line = format!("r{}\n", entry.release);
                let path = format!("/channels/{app}/{channel}");
                self.tree.write(&path, line.as_bytes())?;
            }
        }
        Ok(())
    }

    fn references(&self) -> Vec<Reference> {
        let state = &self.state;
        let versions = state.versions.keys().cloned().map(Reference::Version);
        let numbers = state.releases.keys().copied();
        let releases = numbers
            .filter_map(ReleaseNumber::new)
            .map(Reference::Release);
        let channels = state.channels.keys().cloned().map(Reference::Channel);
        versions
            .chain(releases)
            .chain(channels)
            .chain([Reference::Latest])
            .collect()
    }

    async fn documents(&self, app: &AppName) -> Result<(), ExportError> {
        let default = self.repository.catalogue.default_layer().await?;
        let default_pins = default.read(AppState::pins);
        for reference in self.references() {
            let path = routes::release(app, &reference, None);
            match releases::resolve_in(app, &reference, &self.state, default_pins.clone()) {
                Ok(resolved) => {
                    let document = releases::document(self.repository, resolved, |_| true).await?;
                    self.tree.write(&path, &serde_json::to_vec(&document)?)?;
                }
                // It was purged; or there is no latest.
                Err(_) => self.tree.remove(&path)?,
            }
        }
        Ok(())
    }

    async fn legacy(&mut self, app: &AppName) -> Result<Outcome, ExportError> {
        let (path, checksum) = (routes::legacy_artefact(app), routes::legacy_checksum(app));
        let chosen = self.state.latest().and_then(|version| {
            let found = self.state.version(version)?;
            let chosen = archive(found.artefacts(), app, version).ok()?;
            let record = found.file(&chosen.file)?;
            Some(Artefact {
                version: version.clone(),
                file: chosen.file,
                record: record.clone(),
            })
        });
        let Some(artefact) = chosen else {
            self.tree.remove(&path)?;
            self.tree.remove(&checksum)?;
            return Ok(Outcome::Done);
        };
        let counted = (self.new, self.damaged);
        if !self
            .tree
            .has_file(&routes::artefact(app, &artefact.version, &artefact.file))
        {
            // It is damaged, and was named under its version.
            self.tree.remove(&path)?;
            self.tree.remove(&checksum)?;
            return Ok(Outcome::Done);
        }
        if let Outcome::Changed = self.artefact(&path, &artefact).await? {
            return Ok(Outcome::Changed);
        }
        (self.new, self.damaged) = counted;
        let line = artefact.record.sha256.line(&format!("{app}.tgz"));
        self.tree.write(&checksum, line.as_bytes())?;
        Ok(Outcome::Done)
    }

    fn remove_purged(&self, app: &AppName) -> Result<(), ExportError> {
        for version in self.state.versions.keys() {
            if self.state.is_purged(version) {
                self.tree.remove(&format!("/artefacts/{app}/{version}"))?;
            }
        }
        Ok(())
    }
}

struct Artefact {
    version: VersionName,
    file: FileName,
    record: ArtefactRecord,
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, ExportError> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
