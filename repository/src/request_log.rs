//! One line a request.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

pub(crate) async fn log(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    // The path alone: a query could hold what does not belong in a log.
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    // Probes come every few seconds for ever.
    if matches!(path.as_str(), "/healthz" | "/readyz") {
        tracing::debug!(%method, path, status, elapsed_ms, "request");
    } else {
        tracing::info!(%method, path, status, elapsed_ms, "request");
    }
    response
}
