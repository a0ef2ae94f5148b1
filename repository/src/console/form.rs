//! What a form sent, and where its answer leads.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::failure::Failure;
use crate::handlers::text_value;
use crate::{Repository, receive};

#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) async fn read(
        repository: &Repository,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
    ) -> Result<Self, Failure> {
        let bytes = receive::small(repository, headers, body, limit).await?;
        let pairs = form_urlencoded::parse(&bytes);
        Ok(Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        ))
    }

    /// The value of a field; empty without it.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }
}

/// The condition under which a form's write counts: that what its page showed is still so.
pub(super) fn expecting(etag: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    match etag {
        Some(etag) => headers.insert(header::IF_MATCH, text_value(etag)),
        None => headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*")),
    };
    headers
}

/// Leads on by a `GET`, so that reloading sends no form again.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
        .headers_mut()
        .insert(header::LOCATION, text_value(path));
    response
}
