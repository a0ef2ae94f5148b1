//! The fields of a submitted form, and the redirect that answers it.

use axum::body::Body;
use axum::response::Response;
use http::{StatusCode, header};

use crate::http::extract::Write;
use crate::http::failure::Failure;
use crate::http::response::text_value;

#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) async fn read(request: Write, limit: usize) -> Result<Self, Failure> {
        let bytes = request.bytes(limit).await?;
        let pairs: Vec<(String, String)> = form_urlencoded::parse(&bytes)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        // The parser replaces invalid UTF-8 with U+FFFD.
        let is_replaced = pairs.iter().any(|(_, value)| value.contains('\u{fffd}'));
        let has_encoded = String::from_utf8_lossy(&bytes)
            .to_ascii_uppercase()
            .contains("%EF%BF%BD");
        if is_replaced && !has_encoded {
            return Err(Failure::bad_request("the form is not UTF-8: submit UTF-8"));
        }
        Ok(Self(pairs))
    }

    /// The value of a field; 400 if it is missing.
    pub(super) fn required(&self, name: &str) -> Result<&str, Failure> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| {
            Failure::bad_request(format!(
                "the form has no field {name}: reload the page and submit the form again"
            ))
        })
    }

    /// The value of a field; empty if it is missing.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }
}

/// Redirects to a `GET`, so that a reload does not submit the form again.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
        .headers_mut()
        .insert(header::LOCATION, text_value(path));
    response
}
