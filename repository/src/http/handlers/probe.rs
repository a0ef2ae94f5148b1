//! `/healthz`: liveness. `/readyz`: readiness of the store. `/metrics`: metrics for Prometheus.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::http::failure::Failure;
use crate::http::metrics::Metrics;
use crate::http::openapi;
use crate::http::response::{TEXT, respond};
use crate::upkeep::readiness::Readiness;

/// Liveness: whether the process responds.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "The process responds", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn live() -> Response {
    uncached(TEXT, "ok\n")
}

/// Readiness: whether the store responds.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "The store responds", body = String, content_type = "text/plain"),
        (status = 503, description = "The store does not respond", body = openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(readiness): State<Arc<Readiness>>) -> Result<Response, Failure> {
    if readiness.is_ready().await {
        return Ok(uncached(TEXT, "ready\n"));
    }
    Err(Failure::unavailable(
        "failed to read the store: see the repository's log",
    ))
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "probes",
    responses(
        (status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"),
        openapi::Refused,
    )
)]
pub(crate) async fn metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    uncached(OPEN_METRICS, metrics.text())
}

/// A response that caches must not store.
fn uncached(media_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = respond(StatusCode::OK, media_type, text);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
