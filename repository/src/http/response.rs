//! Responses with a media type, and an entity tag for conditional requests.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::conditional::{self, Outcome};
use super::etag;
use super::failure::Failure;

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// A response with an entity tag, or 304 or 412 by the conditions of the request. `no-cache` makes caches revalidate each
/// time, because the body may change.
pub(crate) fn tagged(
    request: &HeaderMap,
    media_type: &'static str,
    etag: &str,
    body: impl Into<Body>,
) -> Result<Response, Failure> {
    let (status, body) = match conditional::evaluate(request, Some(etag)) {
        Outcome::Proceed => (StatusCode::OK, body.into()),
        Outcome::NotModified => (StatusCode::NOT_MODIFIED, Body::empty()),
        Outcome::Failed => {
            return Err(Failure::precondition(format!(
                "the resource has changed, and its entity tag is now {etag}: retry without a condition, or with this tag"
            )));
        }
    };
    let mut response = respond(status, media_type, body);
    let headers = response.headers_mut();
    if status == StatusCode::NOT_MODIFIED {
        headers.remove(header::CONTENT_TYPE);
    }
    headers.insert(header::ETAG, text_value(etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Like [`tagged`], with the digest of the body as entity tag.
pub(crate) fn tagged_by_digest(
    request: &HeaderMap,
    media_type: &'static str,
    body: String,
) -> Result<Response, Failure> {
    let etag = etag::of_body(body.as_bytes());
    tagged(request, media_type, &etag, body)
}

pub(crate) fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// JSON, indented and with a final line feed, readable in a terminal.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// The header value of a text that contains printable ASCII only.
pub(crate) fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
