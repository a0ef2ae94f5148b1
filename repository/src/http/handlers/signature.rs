//! `/releases/{app}/{release}.minisig`: the minisign signature of a release's statement.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use repository_api::{AppName, ReleaseNumber};

use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::sign::sign;
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::response::{TEXT, respond, tagged_by_digest};

const SUFFIX: &str = ".minisig";

/// Maximum bytes of a signature. Minisign writes four short lines.
const MAX_BYTES: usize = 16 << 10;

/// The release that a path segment such as `r42.minisig` names.
pub(super) fn release_of(segment: &str) -> Option<&str> {
    segment.strip_suffix(SUFFIX)
}

fn number(segment: &str) -> Result<ReleaseNumber, Failure> {
    let release = release_of(segment).ok_or_else(|| {
        Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path accepts only signatures, such as r42.minisig: create a release with PUT /channels/{app}/{channel}",
        )
    })?;
    Ok(release.parse().map_err(Error::InvalidName)?)
}

pub(super) async fn get(
    catalogue: &Catalogue,
    app: &AppName,
    segment: &str,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let release = number(segment)?;
    let log = catalogue.known(app).await?;
    let found = log.read(|state| Ok::<_, Error>(state.release(app, release)?.minisig.clone()))?;
    let minisig = found.ok_or_else(|| Error::NotSigned {
        app: app.clone(),
        release,
    })?;
    tagged_by_digest(headers, TEXT, minisig)
}

/// Uploads the signature of a release. `{reference}` is `r42.minisig`.
#[utoipa::path(
    put,
    path = "/releases/{app}/{reference}",
    tag = "releases",
    params(
        ("app" = openapi::App, Path),
        ("reference" = String, Path, description = "r42.minisig", pattern = r"^r[1-9][0-9]{0,8}\.minisig$"),
    ),
    request_body(content = String, content_type = "text/plain", description = "The .minisig file that minisign writes"),
    responses(
        (status = 200, description = "The release already has this signature", body = String, content_type = "text/plain"),
        (status = 201, description = "The release is signed", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        (status = 405, description = "The path does not name a signature", body = openapi::ProblemDocument, content_type = "application/problem+json"),
        openapi::Conflicts,
        openapi::Body,
        openapi::Unprocessable,
    )
)]
pub(crate) async fn put(
    State(catalogue): State<Arc<Catalogue>>,
    Names((app, segment)): Names<(AppName, String)>,
    request: Write,
) -> Result<Response, Failure> {
    let number = number(&segment)?;
    let by = request.by.clone();
    let minisig = request.bytes(MAX_BYTES).await?;
    if sign(&catalogue, app.clone(), number, &minisig, by).await? {
        let text = format!("{app} {number} is signed\n");
        Ok(respond(StatusCode::CREATED, TEXT, text))
    } else {
        Ok(respond(StatusCode::OK, TEXT, "unchanged\n"))
    }
}
