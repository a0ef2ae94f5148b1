//! `/healthz`: the process answers. `/readyz`: its store does, too. `/metrics`: figures.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::{TEXT, answer};
use crate::Repository;
use crate::http::failure::Failure;
use crate::http::openapi;

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn live() -> Response {
    now(TEXT, "ok\n")
}

/// Whether the store answers, too.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain"),
        (status = 503, description = "It does not", body = openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(repository): State<Arc<Repository>>) -> Result<Response, Failure> {
    if repository.readiness.is_ready(&repository.storage).await {
        return Ok(now(TEXT, "ready\n"));
    }
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the store cannot be read: the repository's log says why; what asks again finds out when it can",
    ))
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Figures for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "probes",
    responses(
        (status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"),
        openapi::Refused,
    )
)]
pub(crate) async fn metrics(State(repository): State<Arc<Repository>>) -> Response {
    now(OPEN_METRICS, repository.metrics.text())
}

/// It is so now, and nobody knows for how long.
fn now(media_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = answer(StatusCode::OK, media_type, text);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
