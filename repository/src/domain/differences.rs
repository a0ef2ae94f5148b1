//! The differences between two releases: version, files by digest, and the names of changed config variables.

use std::collections::{BTreeMap, BTreeSet};

use repository_api::release::{Artefact, LayerPin, Statement};
use repository_api::{AppName, Digest, ReleaseNumber};
use serde::Serialize;

use super::catalogue::Catalogue;
use super::error::Error;
use super::releases;

#[derive(Debug, Serialize)]
pub(crate) struct Differences {
    pub(crate) app: AppName,
    pub(crate) from: String,
    pub(crate) to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<[String; 2]>,
    pub(crate) files: Vec<FileChange>,
    pub(crate) config: Vec<LayerChange>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FileChange {
    pub(crate) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Digest>,
}

#[derive(Debug, Serialize)]
pub(crate) struct LayerChange {
    pub(crate) layer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<u64>,
    /// Names only: a value may be a secret.
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    pub(crate) changed: Vec<String>,
}

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.version.is_none() && self.files.is_empty() && self.config.is_empty()
    }
}

/// The differences between two statements, which are displayed under the names in `shown`.
pub(crate) async fn between(
    catalogue: &Catalogue,
    app: &AppName,
    (left, right): (&Statement, &Statement),
    shown: (String, String),
) -> Result<Differences, Error> {
    let version = (left.version != right.version)
        .then(|| [left.version.to_string(), right.version.to_string()]);
    Ok(Differences {
        app: app.clone(),
        from: shown.0,
        to: shown.1,
        version,
        files: changed_files(&left.artefacts, &right.artefacts),
        config: changed_layers(catalogue, app, left, right).await?,
    })
}

/// The differences between two releases.
pub(crate) async fn between_releases(
    catalogue: &Catalogue,
    app: &AppName,
    from: ReleaseNumber,
    to: ReleaseNumber,
) -> Result<Differences, Error> {
    let left = statement(catalogue, app, from).await?;
    let right = statement(catalogue, app, to).await?;
    let shown = (from.to_string(), to.to_string());
    between(catalogue, app, (&left, &right), shown).await
}

/// The statement of a release, also of one whose version was purged.
pub(crate) async fn statement(
    catalogue: &Catalogue,
    app: &AppName,
    number: ReleaseNumber,
) -> Result<Statement, Error> {
    let log = catalogue.known(app).await?;
    log.read(|state| Ok(state.release(app, number)?.statement.clone()))
}

fn changed_files(left: &[Artefact], right: &[Artefact]) -> Vec<FileChange> {
    let digest = |files: &[Artefact], name: &str| {
        files
            .iter()
            .find(|artefact| artefact.file.as_str() == name)
            .map(|artefact| artefact.sha256)
    };
    let names: BTreeSet<&str> = left
        .iter()
        .chain(right)
        .map(|artefact| artefact.file.as_str())
        .collect();
    names
        .into_iter()
        .map(|name| FileChange {
            file: name.to_owned(),
            from: digest(left, name),
            to: digest(right, name),
        })
        .filter(|change| change.from != change.to)
        .collect()
}

async fn changed_layers(
    catalogue: &Catalogue,
    app: &AppName,
    left: &Statement,
    right: &Statement,
) -> Result<Vec<LayerChange>, Error> {
    let layers: BTreeSet<_> = left
        .config
        .iter()
        .chain(&right.config)
        .map(|pin| &pin.layer)
        .collect();
    let mut changes = Vec::new();
    for layer in layers {
        let pin = |statement: &Statement| {
            statement
                .config
                .iter()
                .find(|pin| pin.layer == *layer)
                .cloned()
        };
        let (from, to) = (pin(left), pin(right));
        if from.as_ref().map(|pin| pin.sha256) == to.as_ref().map(|pin| pin.sha256) {
            continue;
        }
        let before = variables(catalogue, app, from.as_ref()).await?;
        let after = variables(catalogue, app, to.as_ref()).await?;
        let absent =
            |these: &BTreeMap<String, String>, those: &BTreeMap<String, String>| -> Vec<String> {
                these
                    .keys()
                    .filter(|name| !those.contains_key(*name))
                    .cloned()
                    .collect()
            };
        let differs =
            |(name, value): &(&String, &String)| before.get(*name).is_some_and(|old| old != *value);
        let changed = after
            .iter()
            .filter(differs)
            .map(|(name, _)| name.clone())
            .collect();
        changes.push(LayerChange {
            layer: layer.to_string(),
            from: from.map(|pin| pin.generation),
            to: to.map(|pin| pin.generation),
            added: absent(&after, &before),
            removed: absent(&before, &after),
            changed,
        });
    }
    Ok(changes)
}

async fn variables(
    catalogue: &Catalogue,
    app: &AppName,
    pin: Option<&LayerPin>,
) -> Result<BTreeMap<String, String>, Error> {
    let Some(pin) = pin else {
        return Ok(BTreeMap::new());
    };
    let parsed = releases::parsed_layer(catalogue, app, pin).await?;
    Ok(parsed
        .assignments
        .into_iter()
        .map(|assignment| (assignment.name, assignment.value))
        .collect())
}
