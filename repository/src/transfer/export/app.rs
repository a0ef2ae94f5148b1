//! An app, the default layer and the tokens in the tree: their logs, and the files that follow from them.

use futures_util::StreamExt as _;
use repository_api::{AppName, FileName, Reference, ReleaseNumber, VersionName, routes};

use super::ExportError;
use super::log::ExportedLog;
use super::tree::{Tree, Unfinished};
use crate::domain::catalogue::{Catalogue, is_still_referenced};
use crate::domain::layer_file::LayerFile;
use crate::domain::releases;
use crate::domain::state::LogState as _;
use crate::domain::state::app::AppState;
use crate::domain::state::default_layer::DefaultLayerState;
use crate::domain::state::layers::Layers;
use crate::domain::state::tokens::TokensState;
use crate::domain::state::version::ArtefactRecord;
use crate::storage::keys::Owner;
use crate::transfer::report::Report;

pub(super) enum Outcome {
    Done {
        damaged: usize,
    },
    /// A file was purged or replaced during the copy.
    Changed,
}

/// Whether the version still had the file after the copy.
enum Copied {
    Yes,
    Changed,
}

/// A copy of an artefact, or the reason why its bytes cannot be copied.
enum Copy {
    Complete(Unfinished),
    Damaged(String),
}

struct Artefact {
    version: VersionName,
    file: FileName,
    record: ArtefactRecord,
}

struct Export<'a> {
    catalogue: &'a Catalogue,
    tree: &'a Tree,
    app: &'a AppName,
    state: &'a AppState,
    damaged: usize,
    new: usize,
    report: &'a mut dyn Report,
}

pub(super) async fn export(
    catalogue: &Catalogue,
    tree: &Tree,
    app: &AppName,
    report: &mut dyn Report,
) -> Result<Outcome, ExportError> {
    let owner = Owner::App(app.clone());
    let log = ExportedLog::<AppState>::begin(catalogue.storage(), tree, &owner).await?;
    let mut export = Export {
        catalogue,
        tree,
        app,
        state: &log.state,
        damaged: 0,
        new: 0,
        report: &mut *report,
    };
    let copied = export.files().await?;
    let (new, damaged) = (export.new, export.damaged);
    if let Copied::Changed = copied {
        log.abandon();
        return Ok(Outcome::Changed);
    }
    let entries = log.state.position();
    let artefacts = log.state.artefacts().count();
    log.finish(tree)?;
    report.done(&format!(
        "{app}: {entries} entries, {artefacts} artefacts, {new} of them new"
    ));
    Ok(Outcome::Done { damaged })
}

pub(super) async fn export_default_layer(
    catalogue: &Catalogue,
    tree: &Tree,
    report: &mut dyn Report,
) -> Result<usize, ExportError> {
    let owner = Owner::DefaultLayer;
    let log = ExportedLog::<DefaultLayerState>::begin(catalogue.storage(), tree, &owner).await?;
    let entries = log.state.position();
    write_layers(catalogue, tree, &log.state.layers, |_| LayerFile::Default).await?;
    log.finish(tree)?;
    report.done(&format!("{owner}: {entries} entries"));
    Ok(0)
}

pub(super) async fn export_tokens(
    catalogue: &Catalogue,
    tree: &Tree,
    report: &mut dyn Report,
) -> Result<usize, ExportError> {
    let owner = Owner::Tokens;
    let log = ExportedLog::<TokensState>::begin(catalogue.storage(), tree, &owner).await?;
    let entries = log.state.position();
    log.finish(tree)?;
    report.done(&format!("{owner}: {entries} entries"));
    Ok(0)
}

/// Writes the newest generation of each layer.
async fn write_layers(
    catalogue: &Catalogue,
    tree: &Tree,
    layers: &Layers,
    file: impl Fn(&repository_api::release::LayerName) -> LayerFile,
) -> Result<(), ExportError> {
    for pin in layers.pins() {
        let file = file(&pin.layer);
        let content = catalogue.content(&file, pin.generation).await?;
        let path = format!("/config/{}/{}", file.owner(), file.name());
        tree.write(&path, content.as_bytes())?;
    }
    Ok(())
}

impl Export<'_> {
    async fn files(&mut self) -> Result<Copied, ExportError> {
        if let Copied::Changed = self.artefacts().await? {
            return Ok(Copied::Changed);
        }
        self.channels()?;
        self.documents().await?;
        if let Copied::Changed = self.legacy().await? {
            return Ok(Copied::Changed);
        }
        self.remove_purged()?;
        let app = self.app;
        write_layers(self.catalogue, self.tree, &self.state.layers, |layer| {
            LayerFile::of(app, layer)
        })
        .await?;
        Ok(Copied::Yes)
    }

    async fn artefacts(&mut self) -> Result<Copied, ExportError> {
        for (version, file, record) in self.state.artefacts() {
            let artefact = Artefact {
                version: version.clone(),
                file: file.clone(),
                record: record.clone(),
            };
            let path = routes::artefact(self.app, version, file);
            if let Copied::Changed = self.artefact(&path, &artefact).await? {
                return Ok(Copied::Changed);
            }
            if self.tree.has_file(&path) {
                let line = record.sha256.line(file.as_str());
                self.tree
                    .write(&format!("{path}.sha256"), line.as_bytes())?;
            }
        }
        Ok(Copied::Yes)
    }

    async fn artefact(&mut self, path: &str, artefact: &Artefact) -> Result<Copied, ExportError> {
        let Artefact {
            version,
            file,
            record,
        } = artefact;
        self.report.file(record.size);
        if self.tree.has(path, record.size, record.sha256) {
            return Ok(Copied::Yes);
        }
        let problem = match self.copy(record).await? {
            Copy::Complete(copy) if copy.sum() == (record.size, record.sha256) => {
                self.tree.finish(copy, path)?;
                self.new += 1;
                return Ok(Copied::Yes);
            }
            Copy::Complete(copy) => {
                let (_, found) = copy.sum();
                copy.abandon();
                format!("expected sha256:{}, found sha256:{found}", record.sha256)
            }
            Copy::Damaged(problem) => problem,
        };
        let name = (version, file, record.blob);
        let position = self.state.position();
        if !is_still_referenced(self.catalogue.storage(), self.app, name, position).await? {
            return Ok(Copied::Changed);
        }
        self.damaged += 1;
        self.tree.remove(path)?;
        self.report
            .skipped(&format!("skipped {} {version} {file}: {problem}", self.app));
        Ok(Copied::Yes)
    }

    /// Copies the stored bytes without checking them.
    async fn copy(&self, record: &ArtefactRecord) -> Result<Copy, ExportError> {
        let mut chunks = match self.catalogue.storage().read_blob(record.blob).await {
            Ok(Some(chunks)) => chunks,
            Ok(None) => return Ok(Copy::Damaged("its bytes are missing".to_owned())),
            Err(error) => return Ok(Copy::Damaged(error.chain())),
        };
        let mut copy = self.tree.begin()?;
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => copy.write(&chunk)?,
                Err(error) => {
                    copy.abandon();
                    let problem = format!("its bytes cannot be read ({error})");
                    return Ok(Copy::Damaged(problem));
                }
            }
        }
        Ok(Copy::Complete(copy))
    }

    fn channels(&self) -> Result<(), ExportError> {
        for channel in self.state.channels.keys() {
            if let Some((_, moved)) = self.state.channel(channel) {
                let line = format!("r{}\n", moved.release);
                let path = format!("/channels/{}/{channel}", self.app);
                self.tree.write(&path, line.as_bytes())?;
            }
        }
        Ok(())
    }

    fn references(&self) -> Vec<Reference> {
        let state = self.state;
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

    async fn documents(&self) -> Result<(), ExportError> {
        let default = self.catalogue.default_layer().await?;
        let default_pins = default.read(|state| state.layers.pins());
        for reference in self.references() {
            let path = routes::release(self.app, &reference, None);
            match releases::resolve_in(self.app, &reference, self.state, default_pins.clone()) {
                Ok(resolved) => {
                    let document = releases::document(self.catalogue, resolved, |_| true).await?;
                    self.tree.write(&path, &serde_json::to_vec(&document)?)?;
                }
                // The version was purged, or the app has no latest.
                Err(_) => self.tree.remove(&path)?,
            }
        }
        Ok(())
    }

    /// The archive of `latest` at the address of the original design.
    async fn legacy(&mut self) -> Result<Copied, ExportError> {
        let app = self.app;
        let (path, checksum) = (routes::legacy_artefact(app), routes::legacy_checksum(app));
        let chosen = self.state.latest().and_then(|version| {
            let found = self.state.version(version)?;
            let chosen = releases::gzipped_archive(found.artefacts(), app, version).ok()?;
            let record = found.file(&chosen.file)?;
            Some(Artefact {
                version: version.clone(),
                file: chosen.file,
                record: record.clone(),
            })
        });
        // A damaged archive is not in the tree, and was reported under its version.
        let chosen = chosen.filter(|artefact| {
            let path = routes::artefact(app, &artefact.version, &artefact.file);
            self.tree.has_file(&path)
        });
        let Some(artefact) = chosen else {
            self.tree.remove(&path)?;
            self.tree.remove(&checksum)?;
            return Ok(Copied::Yes);
        };
        let counted = (self.new, self.damaged);
        if let Copied::Changed = self.artefact(&path, &artefact).await? {
            return Ok(Copied::Changed);
        }
        (self.new, self.damaged) = counted;
        let line = artefact.record.sha256.line(&format!("{app}.tgz"));
        self.tree.write(&checksum, line.as_bytes())?;
        Ok(Copied::Yes)
    }

    fn remove_purged(&self) -> Result<(), ExportError> {
        for version in self.state.versions.keys() {
            if self.state.is_purged(version) {
                self.tree
                    .remove(&format!("/artefacts/{}/{version}", self.app))?;
            }
        }
        Ok(())
    }
}
