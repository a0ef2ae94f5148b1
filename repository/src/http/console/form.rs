//! What a form sent, and where its answer leads.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::Repository;
use crate::http::failure::Failure;
use crate::http::handlers::text_value;
use crate::http::receive;

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
        let pairs: Vec<(String, String)> = form_urlencoded::parse(&bytes)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        // The parser writes U+FFFD in place of what is not UTF-8.
        let is_replaced = pairs.iter().any(|(_, value)| value.contains('\u{fffd}'));
        let has_it = String::from_utf8_lossy(&bytes)
            .to_ascii_uppercase()
            .contains("%EF%BF%BD");
        if is_replaced && !has_it {
            return Err(Failure::bad_request("the form is not UTF-8"));
        }
        Ok(Self(pairs))
    }

    /// The value of a field; 400 without it.
    pub(super) fn required(&self, name: &str) -> Result<&str, Failure> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| Failure::bad_request(format!("the form has no field {name}")))
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
