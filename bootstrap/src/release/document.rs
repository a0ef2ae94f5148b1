//! The release document of a repository.

use std::time::SystemTime;

use repository_api::release::{LayerContent, ReleaseDocument, Statement};
use repository_api::{Reference, candidate, routes};

use super::verified::{Layer, Release, Saved, Wanted};
use crate::exit::{Exit, Failure};
use crate::settings::Settings;
use crate::verify::digest_of;

#[derive(Debug)]
pub(super) enum Problem {
    /// A digest does not match: another fetch can help.
    Digest(Failure),
    Other(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Digest(failure) | Problem::Other(failure) => failure,
        }
    }
}

/// Reads and verifies a document.
pub(super) fn read(
    body: &[u8],
    settings: &Settings,
    reference: &Reference,
) -> Result<Release, Problem> {
    let document: ReleaseDocument = serde_json::from_slice(body).map_err(|error| {
        not_a_repository(
            "the answer does not come from a repository: its release document cannot be read",
        )
        .because(place(&error))
    })?;
    if let Some(keys) = &settings.trust.keys {
        // Nothing reads the statement before its signature is verified.
        let signature = document.signature.as_deref();
        keys.verify(document.statement.as_bytes(), signature, SystemTime::now())
            .map_err(|error| {
                Failure::new(Exit::NotAllowed, format!("{} is refused", settings.app))
                    .because(error)
            })?;
    }
    let statement = Statement::from_text(&document.statement).map_err(|error| {
        not_a_repository("the release document's statement cannot be read").because(place(&error))
    })?;
    check_statement(&statement, settings, reference)?;
    let layers = layers(&document.config, &statement, settings)?;
    let Statement {
        app,
        version,
        release,
        artefacts,
        ..
    } = statement;
    let chosen = candidate::choose(&artefacts, &app, &version, std::env::consts::ARCH)
        .map_err(|error| Failure::new(Exit::NotFound, error.to_string()))?;
    Ok(Release {
        artefact: Wanted {
            path: routes::artefact(&app, &version, &chosen.file),
            file: chosen.file.to_string(),
            size: Some(chosen.size),
            sha256: Some(chosen.sha256),
        },
        version: Some(version),
        number: release,
        layers,
        saved: Saved::Document(String::from_utf8_lossy(body).into_owned()),
    })
}

/// The place of an error. The library's own message can quote the document.
fn place(error: &serde_json::Error) -> String {
    format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}

fn not_a_repository(message: impl Into<String>) -> Failure {
    Failure::new(Exit::NotARepository, message)
}

fn check_statement(
    statement: &Statement,
    settings: &Settings,
    reference: &Reference,
) -> Result<(), Failure> {
    let wrong = |expected: String, found: String| {
        Failure::new(
            settings.trust.exit_for(Exit::NotARepository),
            format!("the repository sent another release: expected {expected}, found {found}"),
        )
    };
    if statement.app != settings.app.app {
        return Err(wrong(
            settings.app.app.to_string(),
            statement.app.to_string(),
        ));
    }
    let found = match statement.release {
        Some(number) => format!("release r{number}"),
        None => format!("version {} without a release", statement.version),
    };
    match reference {
        Reference::Version(version) if *version != statement.version => Err(wrong(
            format!("version {version}"),
            format!("version {}", statement.version),
        )),
        Reference::Release(number) if Some(number.get()) != statement.release => {
            Err(wrong(format!("release {number}"), found))
        }
        Reference::Channel(channel) if statement.release.is_none() => {
            Err(wrong(format!("the release of channel {channel}"), found))
        }
        _ => match settings.trust.min_release {
            Some(floor) if statement.release < Some(floor) => Err(Failure::new(
                Exit::NotAllowed,
                format!("{found} is below r{floor}, the floor that BOOTSTRAP_MIN_RELEASE sets"),
            )),
            _ => Ok(()),
        },
    }
}

/// The layers that apply, each verified. Every layer that the statement names must be there.
fn layers(
    contents: &[LayerContent],
    statement: &Statement,
    settings: &Settings,
) -> Result<Vec<Layer>, Problem> {
    let environment = settings.environment.as_ref();
    let mut pins: Vec<_> = statement
        .config
        .iter()
        .filter(|pin| pin.layer.applies_to(environment))
        .collect();
    pins.sort_by(|left, right| left.layer.cmp(&right.layer));
    if let Some(environment) = environment
        && !pins
            .iter()
            .any(|pin| pin.layer.as_str() == environment.as_str())
    {
        tracing::warn!(
            "{} has no config for environment {environment}: only the layers of every environment apply",
            statement.app
        );
    }
    let mut layers = Vec::new();
    for pin in pins {
        let Some(found) = contents.iter().find(|content| content.layer == pin.layer) else {
            return Err(not_a_repository(format!(
                "the release document lacks the config layer {}",
                pin.layer
            ))
            .into());
        };
        let digest = digest_of(found.content.as_bytes());
        if digest != pin.sha256 {
            return Err(Problem::Digest(Failure::new(
                settings.trust.exit_for(Exit::Refused),
                format!(
                    "the config layer {} is damaged: expected sha256:{}, found sha256:{digest}",
                    pin.layer, pin.sha256
                ),
            )));
        }
        layers.push(Layer {
            name: pin.layer.to_string(),
            content: found.content.clone().into_bytes(),
        });
    }
    Ok(layers)
}
