//! One line a request.

use std::time::Instant;

use axum::response::Response;
use http::{Method, Uri};

/// Answers, and says so.
pub(crate) async fn logged(
    method: Method,
    uri: Uri,
    answer: impl Future<Output = Response>,
) -> Response {
    let begin = Instant::now();
    let response = answer.await;
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    // The path alone: a query could hold what does not belong in a log.
    let path = uri.path();
    // Probes come every few seconds for ever.
    if matches!(path, "/healthz" | "/readyz") {
        tracing::debug!(
            method = method.as_str(),
            path,
            status,
            elapsed_ms,
            "request"
        );
    } else {
        tracing::info!(
            method = method.as_str(),
            path,
            status,
            elapsed_ms,
            "request"
        );
    }
    response
}
