//! A plain file server in the original layout: `config/APP/APP.config` and `files/APP/APP.tgz`.

use repository_api::release::LayerName;
use repository_api::{Digest, routes};

use super::verified::{Layer, Release, Saved, Wanted};
use crate::exit::{Exit, Failure};
use crate::repository::{Document, Repository};
use crate::settings::Settings;

pub(super) async fn find(repository: &Repository, settings: &Settings) -> Result<Release, Failure> {
    let app = &settings.app.app;
    tracing::info!(
        stage = "release",
        "{} has no release document: fetching from a plain file server",
        repository.origin().shown("/")
    );
    let mut layers = Vec::new();
    let environment = settings.environment.clone().map(LayerName::Environment);
    for name in [Some(LayerName::Default), Some(LayerName::App), environment]
        .into_iter()
        .flatten()
    {
        let path = routes::config(app, &name);
        match repository.document(&path).await? {
            Document::Found(content) => layers.push(Layer {
                name: name.to_string(),
                content,
            }),
            Document::Missing(_) | Document::Absent if name != LayerName::App => {}
            Document::Missing(_) | Document::Absent => {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!(
                        "no app {app}: the server has neither a release document nor {}",
                        repository.origin().shown(&path)
                    ),
                ));
            }
        }
    }
    let sha256 = checksum(repository, settings).await?;
    Ok(release(settings, layers, sha256))
}

pub(super) fn release(settings: &Settings, layers: Vec<Layer>, sha256: Option<Digest>) -> Release {
    let app = &settings.app.app;
    let saved = layers.iter().map(|layer| {
        let content = String::from_utf8_lossy(&layer.content).into_owned();
        (layer.name.clone(), content)
    });
    Release {
        version: None,
        number: None,
        artefact: Wanted {
            path: routes::legacy_artefact(app),
            file: format!("{app}.tgz"),
            size: None,
            sha256,
        },
        saved: Saved::Plain {
            layers: saved.collect(),
            sha256,
        },
        layers,
    }
}

async fn checksum(repository: &Repository, settings: &Settings) -> Result<Option<Digest>, Failure> {
    let path = routes::legacy_checksum(&settings.app.app);
    let shown = repository.origin().shown(&path);
    match repository.document(&path).await? {
        Document::Found(body) => {
            let digest = Digest::from_line(&String::from_utf8_lossy(&body)).map_err(|error| {
                Failure::new(Exit::Refused, format!("{shown} isn't a checksum")).because(error)
            })?;
            Ok(Some(digest))
        }
        Document::Missing(_) | Document::Absent if settings.allow_unverified => {
            tracing::warn!(
                "{shown} is missing: the artefact is not verified, as BOOTSTRAP_ALLOW_UNVERIFIED permits"
            );
            Ok(None)
        }
        Document::Missing(_) | Document::Absent => Err(Failure::new(
            Exit::Refused,
            format!(
                "{shown} is missing: create it with sha256sum, or set BOOTSTRAP_ALLOW_UNVERIFIED=true to start without a checksum"
            ),
        )),
    }
}
