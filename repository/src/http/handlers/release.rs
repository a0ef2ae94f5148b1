//! `/releases/{app}/…`: the document that `bootstrap` needs, the list, and what differs between two.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use repository_api::{AppName, ChannelName, EnvironmentName, Reference, ReleaseNumber};
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Page, paged};
use super::signature;
use super::{JSON, Names, TEXT, answer, has_parameter, json, parameter, tag_of, tagged};
use crate::Repository;
use crate::domain::differences::{between, statement};
use crate::domain::releases;
use crate::http::failure::Failure;
use crate::http::openapi;

/// The one document that `bootstrap` needs. Also `r41...r42`: what differs; and `r42.minisig`: a signature.
#[utoipa::path(
    get,
    path = "/releases/{app}/{reference}",
    tag = "releases",
    params(
        ("app" = openapi::App, Path),
        ("reference" = openapi::Reference, Path),
        ("environment" = Option<openapi::Channel>, Query, description = "With the layer of this environment"),
    ),
    responses(
        (status = 200, description = "The release", body = openapi::ReleaseDocument),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((app, reference)): Names<(AppName, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some((from, to)) = reference.split_once("...") {
        let (from, to) = (release_number(from)?, release_number(to)?);
        let left = statement(&repository, &app, from).await?;
        let right = statement(&repository, &app, to).await?;
        let shown = (from.to_string(), to.to_string());
        let found = between(&repository, &app, (&left, &right), shown).await?;
        return Ok(answer(StatusCode::OK, JSON, json(&found)));
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
    /// The channels that point here.
    #[schema(value_type = Vec<String>)]
    channels: Vec<ChannelName>,
}

/// Newest first; `after` names the last release of the page before.
/// Releases, newest first.
#[utoipa::path(
    get,
    path = "/releases/{app}/",
    tag = "releases",
    params(
        ("app" = openapi::App, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Rows of a page"),
        ("after" = Option<openapi::Release>, Query, description = "The last release of the page before"),
    ),
    responses(
        (status = 200, description = "Which version each names, and which channels point at it", body = Releases),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn list(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    uri: Uri,
    headers: HeaderMap,
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
    paged(
        (&format!("/releases/{app}/"), &headers),
        &page,
        rows,
        |row| row.release.clone(),
        |rows| {
            (
                JSON,
                json(&Releases {
                    app,
                    releases: rows.to_vec(),
                }),
            )
        },
    )
}

/// A release as a line of text.
pub(crate) fn line(number: u64) -> String {
    format!("r{number}\n")
}

pub(crate) fn line_answer(status: StatusCode, number: u64) -> Response {
    answer(status, TEXT, line(number))
}
