//! What a form sent, and the redirect that answers it.

use axum::body::Body;
use axum::response::Response;
use http::{StatusCode, header};

use crate::http::answer::text_value;
use crate::http::extract::Write;
use crate::http::failure::Failure;

#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) async fn read(request: Write, limit: usize) -> Result<Self, Failure> {
        let bytes = request.bytes(limit).await?;
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

/// Redirects to a `GET`, so that reloading the page does not send the form again.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
        .headers_mut()
        .insert(header::LOCATION, text_value(path));
    response
}
