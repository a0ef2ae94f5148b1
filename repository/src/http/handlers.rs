//! Handlers: from a request to an answer, one module a resource.

pub(crate) mod artefact;
pub(crate) mod channel;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod legacy;
pub(crate) mod listing;
pub(crate) mod probe;
pub(crate) mod release;
pub(crate) mod retention;
pub(crate) mod signature;
pub(crate) mod yank;

use std::str::FromStr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use repository_api::Digest;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::http::conditional::{self, Outcome};
use crate::http::failure::Failure;

/// The names in a path, each checked against its grammar; 400 for anything else.
#[derive(Debug)]
pub(crate) struct Names<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(names)) => Ok(Self(names)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Failure::bad_request(match error.kind() {
                    ErrorKind::Message(message) | ErrorKind::DeserializeError { message, .. } => {
                        message.clone()
                    }
                    other => other.to_string(),
                }))
            }
            Err(other) => Err(Failure::bad_request(other.body_text())),
        }
    }
}

/// A parameter of the query, parsed; 400 where it is malformed or given twice.
pub(crate) fn parameter<T>(query: Option<&str>, name: &str) -> Result<Option<T>, Failure>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != name {
            continue;
        }
        let value = percent_encoding::percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| Failure::bad_request(format!("{name} is not UTF-8")))?;
        let value = value
            .parse()
            .map_err(|error| Failure::bad_request(format!("{name}: {error}")))?;
        if found.replace(value).is_some() {
            return Err(Failure::bad_request(format!(
                "{name} is given twice: give it once"
            )));
        }
    }
    Ok(found)
}

/// A parameter that is a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) u64);

impl FromStr for Number {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As large as all who read JSON can count.
        text.parse::<i64>()
            .ok()
            .and_then(|number| u64::try_from(number).ok())
            .map(Self)
            .ok_or("expected a number, such as 3")
    }
}

/// Whether the query has `name`, with or without a value.
pub(crate) fn has_parameter(query: Option<&str>, name: &str) -> bool {
    query
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.split('=').next() == Some(name))
}

/// A body with its media type and entity tag; 304 or 412 where the request's conditions say so.
/// Without a cache's help nothing mutable is reused unasked: `no-cache`.
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
                "it has changed, and its entity tag is {etag} now: ask without a condition, or with this one"
            )));
        }
    };
    let mut response = answer(status, media_type, body);
    let headers = response.headers_mut();
    if status == StatusCode::NOT_MODIFIED {
        headers.remove(header::CONTENT_TYPE);
    }
    headers.insert(header::ETAG, text_value(etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The strong entity tag of a body.
pub(crate) fn tag_of(body: &[u8]) -> String {
    Digest::new(Sha256::digest(body).into()).etag()
}

pub(crate) fn answer(
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

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// JSON with a line feed at the end: people read this in a terminal.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// A header's value of text that is known to be printable ASCII.
pub(crate) fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
