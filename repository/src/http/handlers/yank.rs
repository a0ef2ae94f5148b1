//! Yanking: a version leaves `latest` and new releases, and is still fetched by name. With `?purge=true`
//! it is deleted for ever.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use repository_api::{AppName, VersionName};

use super::artefact::missing;
use super::{Names, TEXT, answer, parameter, tagged};
use crate::Repository;
use crate::domain::catalogue::{Decision, Event};
use crate::domain::completion::to_the_end;
use crate::domain::purge;
use crate::http::access::Who;
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::receive;

/// Yanks a version: it leaves `latest` and is still fetched by name. With `purge`, its bytes go for ever.
#[utoipa::path(
    delete,
    path = "/artefacts/{app}/{version}/",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("purge" = Option<bool>, Query, description = "Delete the bytes for ever"),
    ),
    responses(
        (status = 204, description = "It is so"),
        openapi::Refused,
        openapi::Absent,
        openapi::Contradicts,
        openapi::Body,
    )
)]
pub(crate) async fn delete(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let purges = parameter::<bool>(parts.uri.query(), "purge")?.unwrap_or(false);
    to_the_end(async move {
        if purges {
            purge::purge(&repository, &app, &version, &by).await?;
        } else {
            set(&repository, &app, &version, true, &by).await?;
        }
        Ok(answer(StatusCode::NO_CONTENT, TEXT, ""))
    })
    .await
}

/// Yanks a version, or undoes it.
#[utoipa::path(
    put,
    path = "/artefacts/{app}/{version}/yanked",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
    ),
    request_body(content = openapi::Truth, content_type = "text/plain", description = "true or false"),
    responses(
        (status = 204, description = "It is so"),
        openapi::Refused,
        openapi::Absent,
        openapi::Contradicts,
        openapi::Body,
    )
)]
pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let yanked = receive::truth(&repository, &parts.headers, body).await?;
    to_the_end(async move {
        set(&repository, &app, &version, yanked, &by).await?;
        Ok(answer(StatusCode::NO_CONTENT, TEXT, ""))
    })
    .await
}

/// Whether a version is yanked.
#[utoipa::path(
    get,
    path = "/artefacts/{app}/{version}/yanked",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
    ),
    responses(
        (status = 200, description = "true or false", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app).await?;
    let yanked = entry.read(|state| match state.version(&version) {
        Some(found) => Ok(found.is_yanked()),
        None => Err(missing(&app, &version, state)),
    })?;
    tagged(
        &headers,
        TEXT,
        &format!("\"{yanked}\""),
        format!("{yanked}\n"),
    )
}

pub(crate) async fn set(
    repository: &Repository,
    app: &AppName,
    version: &VersionName,
    yanked: bool,
    by: &str,
) -> Result<(), Failure> {
    let entry = repository.catalogue.known(app).await?;
    entry
        .commit(&repository.storage, by, |state| {
            let Some(found) = state.version(version) else {
                return Err(missing(app, version, state));
            };
            if found.is_yanked() == yanked {
                return Ok(Decision::Settled(()));
            }
            if yanked {
                purge::refuse_while_named(app, version, state)?;
            }
            let event = Event::Yank {
                version: version.clone(),
                yanked,
            };
            Ok(Decision::Append(vec![event], ()))
        })
        .await
}
