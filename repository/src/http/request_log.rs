//! One log line per request, with user and client address for writes and refusals. Every response carries the id of its
//! request.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::response::Response;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::access::{ANONYMOUS, Identity, Peer};
use super::metrics::Metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of an id that the client sends.
const MAX_ID: usize = 64;

/// Maximum length of a logged path. No valid path is longer.
const MAX_PATH: usize = 1024;

/// A random number for this process, so that ids differ between servers and restarts.
static PROCESS: LazyLock<u32> = LazyLock::new(|| {
    let random = uuid::Uuid::new_v4().as_u128();
    u32::try_from(random & u128::from(u32::MAX)).unwrap_or_default()
});

static COUNT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(crate) struct RequestLine {
    begin: Instant,
    method: Method,
    uri: Uri,
    peer: Peer,
    id: HeaderValue,
}

impl RequestLine {
    pub(crate) fn begin(request: &Parts, peer: Peer) -> Self {
        Self {
            begin: Instant::now(),
            method: request.method.clone(),
            uri: request.uri.clone(),
            peer,
            id: id(request),
        }
    }

    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Logs and counts the response.
    pub(crate) fn end(
        self,
        metrics: &Metrics,
        mut response: Response,
        identity: Option<&Identity>,
    ) -> Response {
        let elapsed = self.begin.elapsed();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let status = response.status().as_u16();
        metrics.record(&self.method, status, elapsed);
        let method = self.method.as_str();
        // Without the query, which may hold a secret.
        let path = self.uri.path();
        let path = path.get(..MAX_PATH).unwrap_or(path);
        let id = self.id.to_str().unwrap_or_default();
        let is_refused = matches!(status, 401 | 403 | 429);
        if self.is_write() || is_refused {
            let message = if is_refused { "refused" } else { "write" };
            let who = identity.map_or(ANONYMOUS, |identity| &identity.name);
            let from = self.peer.address.ip();
            tracing::info!(method, path, status, elapsed_ms, who, %from, id, "{message}");
        } else if matches!(path, "/healthz" | "/readyz" | "/metrics") {
            // Probes repeat every few seconds.
            tracing::debug!(method, path, status, elapsed_ms, id, "request");
        } else {
            tracing::info!(method, path, status, elapsed_ms, id, "request");
        }
        response.headers_mut().insert(REQUEST_ID, self.id);
        response
    }
}

/// The client's request id if it is safe to log; otherwise a new one.
fn id(request: &Parts) -> HeaderValue {
    let is_safe = |value: &&HeaderValue| {
        (1..=MAX_ID).contains(&value.len())
            && value
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    if let Some(id) = request.headers.get(REQUEST_ID).filter(is_safe) {
        return id.clone();
    }
    let mut id = [b'-'; 8 + 1 + 10];
    digits(&mut id[..8], (*PROCESS).into());
    digits(&mut id[9..], COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// The last hexadecimal digits of a number. Formatting would be slow, and every request needs an id.
fn digits(buffer: &mut [u8], mut number: u64) {
    for digit in buffer.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}
