//! `/healthz`: whether the process answers. `/readyz`: whether its store answers. `/metrics`: for Prometheus.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::http::answer::{TEXT, answer};
use crate::http::failure::Failure;
use crate::http::metrics::Metrics;
use crate::http::openapi;
use crate::upkeep::readiness::Readiness;

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "The process answers", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn live() -> Response {
    now(TEXT, "ok\n")
}

/// Whether the store answers.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "The store answers", body = String, content_type = "text/plain"),
        (status = 503, description = "The store does not answer", body = openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(readiness): State<Arc<Readiness>>) -> Result<Response, Failure> {
    if readiness.is_ready().await {
        return Ok(now(TEXT, "ready\n"));
    }
    Err(Failure::unavailable(
        "the store cannot be read: the repository's log says why",
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
    now(OPEN_METRICS, metrics.text())
}

/// An answer that no cache may store.
fn now(media_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = answer(StatusCode::OK, media_type, text);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
