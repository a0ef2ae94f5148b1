//! `/healthz`: the process answers. `/readyz`: its store does, too. `/metrics`: figures.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::{TEXT, answer};
use crate::Repository;
use crate::failure::Failure;

pub(crate) async fn live() -> Response {
    answer(StatusCode::OK, TEXT, "ok\n")
}

pub(crate) async fn ready(State(repository): State<Arc<Repository>>) -> Result<Response, Failure> {
    if repository.readiness.is_ready(&repository.storage).await {
        return Ok(answer(StatusCode::OK, TEXT, "ready\n"));
    }
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the store cannot be read: the repository's log says why; what asks again finds out when it can",
    ))
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn metrics(State(repository): State<Arc<Repository>>) -> Response {
    answer(StatusCode::OK, OPEN_METRICS, repository.metrics.text())
}
