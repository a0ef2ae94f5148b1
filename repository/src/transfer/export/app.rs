//! One app in the tree: its log, and what follows from it.

use futures_util::StreamExt as _;
use repository_api::{AppName, FileName, Reference, ReleaseNumber, VersionName, routes};
use serde::Serialize;

use super::tree::{Tree, Unfinished};
use super::{End, ExportError};
use crate::Repository;
use crate::cli::output::{Progress, complain, say};
use crate::domain::catalogue::{AppState, ArtefactRecord, Event, is_still_named};
use crate::domain::releases;
use crate::http::handlers::legacy::archive;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;

pub(super) enum Outcome {
    Done,
    /// Something was purged, or healed, that was about to be copied.
    Changed,
}

pub(super) struct Export<'a> {
    pub(super) repository: &'a Repository,
    pub(super) tree: &'a Tree,
    pub(super) owner: &'a Owner,
    pub(super) state: AppState,
    pub(super) damaged: usize,
    pub(super) new: usize,
    pub(super) progress: &'a mut Progress,
}

impl Export<'_> {
    pub(super) async fn all(&mut self) -> Result<Outcome, ExportError> {
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
