//! `/healthz`: the process answers. `/readyz`: it can serve, because its records are loaded.

use axum::response::Response;
use http::StatusCode;

use super::{TEXT, answer};

pub(crate) async fn live() -> Response {
    answer(StatusCode::OK, TEXT, "ok\n")
}

/// The server listens only once the catalogue is loaded, so whoever gets an answer gets a true one.
pub(crate) async fn ready() -> Response {
    answer(StatusCode::OK, TEXT, "ready\n")
}
