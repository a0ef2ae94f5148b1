//! `/healthz`: the process answers. `/readyz`: it could serve when it started, for its store was proved then.

use axum::response::Response;
use http::StatusCode;

use super::{TEXT, answer};

pub(crate) async fn live() -> Response {
    answer(StatusCode::OK, TEXT, "ok\n")
}

/// The server listens only once its store was proved. A store that goes away later is not seen here.
pub(crate) async fn ready() -> Response {
    answer(StatusCode::OK, TEXT, "ready\n")
}
