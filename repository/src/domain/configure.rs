//! Writing config: the next generation of a layer.
//!
//! 1. check the grammar; the error shows line and column, but no value
//! 2. append the next generation, unless the newest one has the same content or the precondition fails
//! 3. collect notes for the writer: a new environment, a variable that looks like a secret

use std::sync::Arc;

use repository_api::Digest;
use repository_api::config::{self, Assignment, Config};
use repository_api::release::LayerName;
use sha2::{Digest as _, Sha256};

use super::catalogue::{Announced, Catalogue, Decision, Log};
use super::completion::run_to_completion;
use super::error::{self, Error};
use super::layer_file::LayerFile;
use super::precondition::Precondition;
use super::state::HasLayers;
use super::state::layers::Layers;

#[derive(Debug)]
pub(crate) struct Written {
    /// `false` if the newest generation has the same content.
    pub(crate) is_new: bool,
    pub(crate) generation: u64,
    pub(crate) note: Option<String>,
    pub(crate) warnings: Vec<String>,
}

/// Writes `bytes` as the newest generation of `file`, if `precondition` allows it.
pub(crate) async fn configure(
    catalogue: &Arc<Catalogue>,
    file: LayerFile,
    precondition: Precondition,
    bytes: Vec<u8>,
    by: String,
) -> Result<Written, Error> {
    let (content, parsed) = check(&file, bytes)?;
    let catalogue = Arc::clone(catalogue);
    let mut written =
        run_to_completion(
            async move { write(&catalogue, &file, &precondition, content, &by).await },
        )
        .await?;
    written.warnings = warnings_of(&parsed);
    Ok(written)
}

/// Maximum warnings in an answer.
const MAX_WARNINGS: usize = 20;

fn warnings_of(parsed: &Config) -> Vec<String> {
    let duplicates = parsed.warnings.iter().map(ToString::to_string);
    let mut all = duplicates.chain(secrets(parsed));
    let mut shown: Vec<String> = all.by_ref().take(MAX_WARNINGS).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown
}

/// Warnings about a config that follows the grammar.
pub(crate) fn warnings(content: &str) -> Vec<String> {
    config::parse(content.as_bytes()).map_or_else(|_| Vec::new(), |parsed| warnings_of(&parsed))
}

/// The text of a config, and its assignments.
fn check(file: &LayerFile, bytes: Vec<u8>) -> Result<(String, Config), Error> {
    let parsed = config::parse(&bytes).map_err(|error| Error::InvalidConfig {
        file: file.name(),
        excerpt: config::excerpt(&bytes, &error),
        error,
    })?;
    let content = String::from_utf8(bytes).map_err(|_| Error::NotUtf8(file.name()))?;
    Ok((content, parsed))
}

/// Writes content that follows the grammar.
pub(crate) async fn write(
    catalogue: &Catalogue,
    file: &LayerFile,
    precondition: &Precondition,
    content: String,
    by: &str,
) -> Result<Written, Error> {
    match file.app() {
        None => {
            let log = catalogue.default_layer_for_write();
            write_to(log, file, precondition, &content, by).await
        }
        Some(app) => {
            let log = catalogue.app_for_write(app);
            write_to(&log, file, precondition, &content, by).await
        }
    }
}

async fn write_to<S: HasLayers + Announced>(
    log: &Log<S>,
    file: &LayerFile,
    precondition: &Precondition,
    content: &str,
    by: &str,
) -> Result<Written, Error> {
    let sha256 = Digest::new(Sha256::digest(content.as_bytes()).into());
    let layer = file.layer();
    log.commit(by, |state| {
        let layers = state.layers();
        let newest = layers.newest(&layer);
        let current = newest.map(|(generation, _)| generation);
        if !precondition.allows(current) {
            return Err(Error::StaleLayer { current });
        }
        let written = |is_new, generation, note| Written {
            is_new,
            generation,
            note,
            warnings: Vec::new(),
        };
        if let Some((generation, _)) = newest.filter(|(_, found)| *found == sha256) {
            return Ok(Decision::Unchanged(written(false, generation, None)));
        }
        let event = S::configure(layer.clone(), sha256, content.to_owned());
        let note = new_environment(file, &layer, layers);
        let written = written(true, current.unwrap_or(0) + 1, note);
        Ok(Decision::Append(vec![event], written))
    })
    .await
}

fn new_environment(file: &LayerFile, layer: &LayerName, layers: &Layers) -> Option<String> {
    let LayerFile::Environment(app, environment) = file else {
        return None;
    };
    if layers.newest(layer).is_some() {
        return None;
    }
    let existing = layers.environments();
    let existing = if existing.is_empty() {
        "none".to_owned()
    } else {
        error::names(&existing)
    };
    Some(format!(
        "{environment} is a new environment of {app}; existing environments: {existing}"
    ))
}

/// Warnings about variables that look like secrets: everyone who may read the config sees them.
fn secrets(config: &Config) -> impl Iterator<Item = String> {
    let suspects = config.assignments.iter().filter(|assignment| {
        let has_secret_name = looks_secret(&assignment.name.to_ascii_uppercase());
        (has_secret_name && !assignment.value.is_empty()) || has_password(&assignment.value)
    });
    suspects.map(|Assignment { name, line, .. }| {
        format!(
            "line {line}: {name} looks like a secret, and everyone who may read this config sees it: put it into a file named {name} in BOOTSTRAP_SECRETS_DIR (/run/secrets) instead"
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
    // Endings of variables that name a place, not the secret in it.
    const PLACES: [&str; 6] = ["_FILE", "_PATH", "_DIR", "_NAME", "_ID", "_TTL"];
    PARTS.iter().any(|part| name.contains(part)) && !PLACES.iter().any(|end| name.ends_with(end))
}

/// Whether a value is a URL with a password, such as `postgres://app:hunter2@database/app`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}
