//! Writing config: a layer's next generation.
//!
//! 1. [`LayerFile`]: which layer a file is
//! 2. the grammar; a refusal says where, and shows the place without a value
//! 3. the next generation, unless the newest says the same or the writer has not seen it
//! 4. what the writer should know: an environment that is new, what looks like a secret

use std::sync::Arc;

use http::HeaderMap;
use repository_api::config::{self, Assignment, Config};
use repository_api::release::LayerName;
use repository_api::{AppName, Digest, NameError};
use sha2::{Digest as _, Sha256};

use crate::Repository;
use crate::domain::catalogue::{AppState, Decision, Event};
use crate::domain::completion::to_the_end;
use crate::http::conditional::{self, Outcome};
use crate::http::failure::Failure;
use crate::storage::keys::DEFAULT_OWNER;

/// The layer that a file of an app's config is.
#[derive(Debug)]
pub(crate) struct LayerFile {
    /// Of the layer under every app, nobody's: never looked at.
    pub(crate) app: AppName,
    pub(crate) layer: LayerName,
}

impl LayerFile {
    /// The owner is a plain text, because `_default` is no app's name.
    pub(crate) fn read(owner: &str, file: &str) -> Result<Self, Failure> {
        let bad = |error: NameError| Failure::bad_request(error.to_string());
        if owner == DEFAULT_OWNER {
            if file != "_default.config" {
                return Err(Failure::bad_request(
                    "_default has one layer: write /config/_default/_default.config",
                ));
            }
            return Ok(Self {
                app: "default".parse().map_err(bad)?,
                layer: LayerName::Default,
            });
        }
        let app: AppName = owner.parse().map_err(bad)?;
        let Some(name) = file.strip_suffix(".config") else {
            return Err(Failure::bad_request(format!(
                "a config is named {app}.config, or ENVIRONMENT.config for one environment"
            )));
        };
        let layer = if name == app.as_str() {
            LayerName::App
        } else {
            LayerName::Environment(name.parse().map_err(bad)?)
        };
        Ok(Self { app, layer })
    }

    pub(crate) fn file(&self) -> String {
        file_of(&self.app, &self.layer)
    }
}

/// How a layer's file is named.
pub(crate) fn file_of(app: &AppName, layer: &LayerName) -> String {
    match layer {
        LayerName::Default => format!("{DEFAULT_OWNER}.config"),
        LayerName::App => format!("{app}.config"),
        LayerName::Environment(environment) => format!("{environment}.config"),
    }
}

pub(crate) fn etag(generation: u64) -> String {
    format!("\"g{generation}\"")
}

/// What became of a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) is_new: bool,
    pub(crate) generation: u64,
    pub(crate) note: Option<String>,
    pub(crate) warnings: Vec<String>,
}

/// Writes `bytes` as the newest generation, if the conditions in `headers` hold.
pub(crate) async fn configure(
    repository: Arc<Repository>,
    address: LayerFile,
    headers: HeaderMap,
    bytes: Vec<u8>,
    by: String,
) -> Result<Written, Failure> {
    let (content, parsed) = checked(&address.file(), bytes)?;
    let warnings = warnings_of(&parsed);
    let mut written =
        to_the_end(async move { write(&repository, &address, &headers, content, &by).await })
            .await?;
    written.warnings = warnings;
    Ok(written)
}

/// Warnings that are shown at the most.
const WARNINGS: usize = 20;

fn warnings_of(parsed: &Config) -> Vec<String> {
    let twice = parsed.warnings.iter().map(ToString::to_string);
    let mut all = twice.chain(secrets(parsed));
    let mut shown: Vec<String> = all.by_ref().take(WARNINGS).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown
}

/// What the writer of a content that is taken should know.
pub(crate) fn warnings(content: &str) -> Vec<String> {
    config::parse(content.as_bytes()).map_or_else(|_| Vec::new(), |parsed| warnings_of(&parsed))
}

/// The text and what it says; 422 with the place where it breaks the grammar.
fn checked(file: &str, bytes: Vec<u8>) -> Result<(String, Config), Failure> {
    let parsed = config::parse(&bytes).map_err(|error| {
        let excerpt = config::excerpt(&bytes, &error);
        Failure::unprocessable(format!("{file}, {error}")).excerpt(excerpt)
    })?;
    let content = String::from_utf8(bytes)
        .map_err(|_| Failure::unprocessable(format!("{file} is not UTF-8")))?;
    Ok((content, parsed))
}

/// The same, of content that was checked.
pub(crate) async fn write(
    repository: &Repository,
    LayerFile { app, layer }: &LayerFile,
    headers: &HeaderMap,
    content: String,
    by: &str,
) -> Result<Written, Failure> {
    let sha256 = Digest::new(Sha256::digest(content.as_bytes()).into());
    let entry = repository.catalogue.layer_owner_for_write(app, layer);
    entry
        .commit(&repository.storage, by, |state| {
            let current = state.newest(layer);
            let tag = current.map(|(generation, _)| etag(generation));
            if conditional::evaluate(headers, tag.as_deref()) != Outcome::Proceed {
                return Err(Failure::precondition(match tag {
                    Some(tag) => format!(
                        "the layer is at {tag}: read it, take its changes over, and write with If-Match: {tag}"
                    ),
                    None => {
                        "the layer does not exist yet: write it without If-Match".to_owned()
                    }
                }));
            }
            let written = |is_new, generation, note| Written {
                is_new,
                generation,
                note,
                warnings: Vec::new(),
            };
            if let Some((generation, _)) = current.filter(|(_, found)| *found == sha256) {
                return Ok(Decision::Settled(written(false, generation, None)));
            }
            let generation = current.map_or(1, |(generation, _)| generation + 1);
            let event = Event::Configure {
                layer: layer.clone(),
                sha256,
                content: content.clone(),
            };
            let written = written(true, generation, new_environment(app, layer, state));
            Ok(Decision::Append(vec![event], written))
        })
        .await
}

/// Some names, and how many more there are.
pub(crate) fn first_of(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

fn new_environment(app: &AppName, layer: &LayerName, state: &AppState) -> Option<String> {
    let LayerName::Environment(environment) = layer else {
        return None;
    };
    if state.newest(layer).is_some() {
        return None;
    }
    let existing = state.environments();
    let existing = if existing.is_empty() {
        "none".to_owned()
    } else {
        first_of(&existing)
    };
    Some(format!(
        "{environment} is a new environment of {app}; so far there were: {existing}"
    ))
}

/// What names look like secrets: whoever may read a config may read those.
fn secrets(config: &Config) -> impl Iterator<Item = String> {
    let suspects = config.assignments.iter().filter(|assignment| {
        let is_named_so = looks_secret(&assignment.name.to_ascii_uppercase());
        (is_named_so && !assignment.value.is_empty()) || has_password(&assignment.value)
    });
    suspects.map(|Assignment { name, line, .. }| {
        format!(
            "line {line}: {name} looks like a secret, and whoever may read this config sees it: put it into a file of that name in BOOTSTRAP_SECRETS_DIR (/run/secrets) instead"
        )
    })
}

fn looks_secret(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "API_KEY",
        "PRIVATE_KEY",
    ];
    // Where the secret is, and not what it is.
    const ELSEWHERE: [&str; 6] = ["_FILE", "_PATH", "_DIR", "_NAME", "_ID", "_TTL"];
    PARTS.iter().any(|part| name.contains(part)) && !ELSEWHERE.iter().any(|end| name.ends_with(end))
}

/// An address such as `postgres://app:hunter2@database/app`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}
