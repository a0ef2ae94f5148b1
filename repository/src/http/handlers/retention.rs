//! `/retention/{app}`: the retention policy of an app.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use repository_api::AppName;

use crate::domain::catalogue::Catalogue;
use crate::domain::policy::Policy;
use crate::domain::retention::set_policy;
use crate::http::extract::{Known, Names, Write};
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::response::{TEXT, respond, tagged_by_digest};

/// The retention policy of an app.
#[utoipa::path(
    get,
    path = "/retention/{app}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
    ),
    responses(
        (status = 200, description = "The policy, such as keep=10", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    Known(_, log): Known<AppName>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    tagged_by_digest(&headers, TEXT, log.read(|state| state.policy.to_string()))
}

/// Sets the retention policy of an app.
#[utoipa::path(
    put,
    path = "/retention/{app}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
    ),
    request_body(content = Option<String>, content_type = "text/plain", description = "The policy, such as keep=10 keep-for=720h quota=20GiB"),
    responses(
        (status = 200, description = "The app already has this policy", body = String, content_type = "text/plain"),
        (status = 201, description = "The policy is set", body = String, content_type = "text/plain"),
        (status = 204, description = "The policy is set"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
        openapi::Body,
        openapi::Unprocessable,
    )
)]
pub(crate) async fn put(
    State(catalogue): State<Arc<Catalogue>>,
    Names(app): Names<AppName>,
    request: Write,
) -> Result<Response, Failure> {
    let by = request.by.clone();
    let body = request.short().await?;
    let policy: Policy = std::str::from_utf8(&body)
        .unwrap_or("not text")
        .parse()
        .map_err(|reason| {
            Failure::unprocessable(format!("the body is not a retention policy: {reason}"))
        })?;
    let is_new = set_policy(&catalogue, app, policy.clone(), by).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(respond(status, TEXT, policy.to_string()))
}
