//! `/releases/{app}/…`: the document that `bootstrap` needs, the list, and what differs between two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use repository_api::release::{Artefact, LayerPin, Statement};
use repository_api::{AppName, ChannelName, Digest, EnvironmentName, Reference, ReleaseNumber};
use serde::Serialize;

use super::listing::{Page, paged};
use super::signature;
use super::{JSON, Names, TEXT, answer, has_parameter, json, parameter, tag_of, tagged};
use crate::Repository;
use crate::failure::Failure;
use crate::releases;

pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((app, reference)): Names<(AppName, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some((from, to)) = reference.split_once("...") {
        return differences(
            &repository,
            &app,
            release_number(from)?,
            release_number(to)?,
        )
        .await;
    }
    if signature::release_of(&reference).is_some() {
        return signature::get(&repository, &app, &reference, &headers).await;
    }
    let reference: Reference = reference
        .parse()
        .map_err(|error: repository_api::NameError| Failure::bad_request(error.to_string()))?;
    let environment: Option<EnvironmentName> = parameter(uri.query(), "environment")?;
    let resolved = releases::resolve(&repository, &app, &reference).await?;
    if has_parameter(uri.query(), "statement") {
        let tag = tag_of(resolved.text.as_bytes());
        return tagged(&headers, JSON, &tag, resolved.text);
    }
    let document = releases::document(&repository, resolved, |layer| {
        layer.applies_to(environment.as_ref())
    })
    .await?;
    let body = serde_json::to_string(&document).unwrap_or_default();
    let tag = tag_of(body.as_bytes());
    tagged(&headers, JSON, &tag, body)
}

fn release_number(text: &str) -> Result<ReleaseNumber, Failure> {
    text.parse()
        .map_err(|error: repository_api::NameError| Failure::bad_request(error.to_string()))
}

#[derive(Serialize)]
struct Listed {
    release: String,
    version: String,
    created: String,
    by: String,
    signed: bool,
    /// The channels that point here.
    channels: Vec<ChannelName>,
}

/// Newest first; `after` names the last release of the page before.
pub(crate) async fn list(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    uri: Uri,
) -> Result<Response, Failure> {
    let page = Page::read(&uri)?;
    let before = match &page.after {
        None => u64::MAX,
        Some(after) => release_number(after)?.get(),
    };
    let rows: Vec<Listed> = repository.catalogue.known(&app).await?.read(|state| {
        state
            .releases
            .range(..before)
            .rev()
            .take(page.limit + 1)
            .map(|(number, entry)| Listed {
                release: format!("r{number}"),
                version: entry.statement.version.to_string(),
                created: entry.created.clone(),
                by: entry.by.to_string(),
                signed: entry.minisig.is_some(),
                channels: state
                    .channels
                    .keys()
                    .filter(|channel| {
                        state
                            .channel(channel)
                            .is_some_and(|(_, entry)| entry.release == *number)
                    })
                    .cloned()
                    .collect(),
            })
            .collect()
    });
    Ok(paged(
        &format!("/releases/{app}/"),
        &page,
        rows,
        |row| row.release.clone(),
        |rows| {
            answer(
                StatusCode::OK,
                JSON,
                json(&serde_json::json!({ "app": app, "releases": rows })),
            )
        },
    ))
}

#[derive(Serialize)]
struct Differences {
    app: AppName,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<[String; 2]>,
    files: Vec<FileChange>,
    config: Vec<LayerChange>,
}

#[derive(Serialize)]
struct FileChange {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Digest>,
}

#[derive(Serialize)]
struct LayerChange {
    layer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    /// Names only: a value may be a secret.
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
}

async fn differences(
    repository: &Repository,
    app: &AppName,
    from: ReleaseNumber,
    to: ReleaseNumber,
) -> Result<Response, Failure> {
    let left = statement(repository, app, from).await?;
    let right = statement(repository, app, to).await?;
    let version = (left.version != right.version)
        .then(|| [left.version.to_string(), right.version.to_string()]);
    let differences = Differences {
        app: app.clone(),
        from: from.to_string(),
        to: to.to_string(),
        version,
        files: changed_files(&left.artefacts, &right.artefacts),
        config: changed_layers(repository, app, &left, &right).await?,
    };
    Ok(answer(StatusCode::OK, JSON, json(&differences)))
}

/// Of a release, also of one whose version was purged.
async fn statement(
    repository: &Repository,
    app: &AppName,
    number: ReleaseNumber,
) -> Result<Statement, Failure> {
    repository.catalogue.known(app).await?.read(|state| {
        let entry = state.releases.get(&number.get());
        entry
            .map(|entry| entry.statement.clone())
            .ok_or_else(|| releases::unknown_release(app, number))
    })
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
    repository: &Repository,
    app: &AppName,
    left: &Statement,
    right: &Statement,
) -> Result<Vec<LayerChange>, Failure> {
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
        let before = variables(repository, app, from.as_ref()).await?;
        let after = variables(repository, app, to.as_ref()).await?;
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
    repository: &Repository,
    app: &AppName,
    pin: Option<&LayerPin>,
) -> Result<BTreeMap<String, String>, Failure> {
    let Some(pin) = pin else {
        return Ok(BTreeMap::new());
    };
    let content = releases::layer(repository, app, &pin.layer, pin.generation).await?;
    let parsed = repository_api::config::parse(content.as_bytes())
        .map_err(|error| Failure::unprocessable(format!("layer {}: {error}", pin.layer)))?;
    Ok(parsed
        .assignments
        .into_iter()
        .map(|assignment| (assignment.name, assignment.value))
        .collect())
}

/// A release as a line of text.
pub(crate) fn line(number: u64) -> String {
    format!("r{number}\n")
}

pub(crate) fn line_answer(status: StatusCode, number: u64) -> Response {
    answer(status, TEXT, line(number))
}
