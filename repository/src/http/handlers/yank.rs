//! `/artefacts/{app}/{version}`: yanking and purging a version.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use repository_api::{AppName, VersionName};

use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::purge::purge;
use crate::domain::yank::set_yanked;
use crate::http::extract::{Known, Names, Write};
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::query::parameter;
use crate::http::response::{TEXT, respond, tagged};

type VersionPath = (AppName, VersionName);

/// Yanks a version: `latest` skips it, but clients can still fetch it by name. With `purge`, deletes its bytes permanently.
#[utoipa::path(
    delete,
    path = "/artefacts/{app}/{version}/",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("purge" = Option<bool>, Query, description = "Delete the bytes permanently"),
    ),
    responses(
        (status = 204, description = "The version is changed"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conflicts,
        openapi::Body,
    )
)]
pub(crate) async fn delete(
    State(catalogue): State<Arc<Catalogue>>,
    Names((app, version)): Names<VersionPath>,
    uri: Uri,
    request: Write,
) -> Result<Response, Failure> {
    if parameter::<bool>(uri.query(), "purge")?.unwrap_or(false) {
        purge(&catalogue, app, version, request.by).await?;
    } else {
        set_yanked(&catalogue, app, version, true, request.by).await?;
    }
    Ok(respond(StatusCode::NO_CONTENT, TEXT, ""))
}

/// Yanks a version, or undoes the yank.
#[utoipa::path(
    put,
    path = "/artefacts/{app}/{version}/yanked",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
    ),
    request_body(content = openapi::Boolean, content_type = "text/plain", description = "true or false"),
    responses(
        (status = 204, description = "The version is changed"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conflicts,
        openapi::Body,
    )
)]
pub(crate) async fn put(
    State(catalogue): State<Arc<Catalogue>>,
    Names((app, version)): Names<VersionPath>,
    request: Write,
) -> Result<Response, Failure> {
    let by = request.by.clone();
    let yanked = request.boolean().await?;
    set_yanked(&catalogue, app, version, yanked, by).await?;
    Ok(respond(StatusCode::NO_CONTENT, TEXT, ""))
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
        openapi::Missing,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    Known((app, version), log): Known<VersionPath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let yanked = log.read(|state| Ok::<_, Error>(state.existing(&app, &version)?.is_yanked()))?;
    let etag = format!("\"{yanked}\"");
    tagged(&headers, TEXT, &etag, format!("{yanked}\n"))
}
