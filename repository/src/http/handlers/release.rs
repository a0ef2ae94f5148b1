//! `/releases/{app}/…`: the release document that `bootstrap` fetches, the list of releases, and their differences.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use repository_api::{AppName, ChannelName, EnvironmentName, Reference, ReleaseNumber};
use serde::Serialize;
use utoipa::ToSchema;

use super::signature;
use crate::domain::catalogue::Catalogue;
use crate::domain::differences::between_releases;
use crate::domain::error::Error;
use crate::domain::releases;
use crate::http::extract::{Known, Names};
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::page::Page;
use crate::http::query::{has_parameter, parameter};
use crate::http::response::{JSON, json, respond, tagged_by_digest};

/// The release document that `bootstrap` fetches. `r41...r42` returns the differences between two releases, `r42.minisig` a signature.
#[utoipa::path(
    get,
    path = "/releases/{app}/{reference}",
    tag = "releases",
    params(
        ("app" = openapi::App, Path),
        ("reference" = openapi::Reference, Path),
        ("environment" = Option<openapi::Channel>, Query, description = "Include the layer of this environment"),
    ),
    responses(
        (status = 200, description = "The release", body = openapi::ReleaseDocument),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    Names((app, reference)): Names<(AppName, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some((from, to)) = reference.split_once("...") {
        let (from, to) = (release_number(from)?, release_number(to)?);
        let found = between_releases(&catalogue, &app, from, to).await?;
        return Ok(respond(StatusCode::OK, JSON, json(&found)));
    }
    if signature::release_of(&reference).is_some() {
        return signature::get(&catalogue, &app, &reference, &headers).await;
    }
    let reference: Reference = reference.parse().map_err(Error::InvalidName)?;
    let environment: Option<EnvironmentName> = parameter(uri.query(), "environment")?;
    let resolved = releases::resolve(&catalogue, &app, &reference).await?;
    if has_parameter(uri.query(), "statement") {
        return tagged_by_digest(&headers, JSON, resolved.text);
    }
    let document = releases::document(&catalogue, resolved, |layer| {
        layer.applies_to(environment.as_ref())
    })
    .await?;
    let body = serde_json::to_string(&document).unwrap_or_default();
    tagged_by_digest(&headers, JSON, body)
}

fn release_number(text: &str) -> Result<ReleaseNumber, Error> {
    Ok(text.parse()?)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Releases {
    #[schema(value_type = String)]
    app: AppName,
    releases: Vec<Listed>,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ListedRelease)]
pub(crate) struct Listed {
    release: String,
    version: String,
    created: String,
    by: String,
    signed: bool,
    /// The channels that point at the release.
    #[schema(value_type = Vec<String>)]
    channels: Vec<ChannelName>,
}

/// The releases of an app, newest first.
#[utoipa::path(
    get,
    path = "/releases/{app}/",
    tag = "releases",
    params(
        ("app" = openapi::App, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Maximum rows of a page"),
        ("after" = Option<openapi::Release>, Query, description = "The last release of the previous page"),
    ),
    responses(
        (status = 200, description = "Releases with their versions and channels", body = Releases),
        openapi::Refused,
        openapi::Missing,
    )
)]
pub(crate) async fn list(Known(app, log): Known<AppName>, page: Page) -> Result<Response, Failure> {
    let before = match &page.after {
        None => u64::MAX,
        Some(after) => release_number(after)?.get(),
    };
    let rows: Vec<Listed> = log.read(|state| {
        let channels_at = |number: u64| {
            let points_here = |channel: &&ChannelName| {
                let moved = state.channel(channel);
                moved.is_some_and(|(_, moved)| moved.release == number)
            };
            state.channels.keys().filter(points_here).cloned().collect()
        };
        let newest = state.releases.range(..before).rev().take(page.rows());
        newest
            .map(|(number, entry)| Listed {
                release: format!("r{number}"),
                version: entry.statement.version.to_string(),
                created: entry.created.clone(),
                by: entry.by.to_string(),
                signed: entry.minisig.is_some(),
                channels: channels_at(*number),
            })
            .collect()
    });
    page.json(
        rows,
        |row| row.release.clone(),
        |releases| Releases { app, releases },
    )
}
