//! Pagination of listings: `?limit=&after=`, and a `Link` to the next page.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Uri, header};
use serde::Serialize;

use super::failure::Failure;
use super::query::{Number, parameter};
use super::response::{JSON, json, tagged_by_digest, text_value};

const DEFAULT_LIMIT: usize = 1000;
const MAX_LIMIT: usize = 10_000;

/// The page of a listing that a request asks for.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
    uri: Uri,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = parts.uri.query();
        let limit = match parameter(query, "limit")? {
            Some(Number(limit)) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => DEFAULT_LIMIT,
        };
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Failure::bad_request(format!(
                "limit must be between 1 and {MAX_LIMIT}"
            )));
        }
        Ok(Self {
            limit,
            after: parameter(query, "after")?,
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
        })
    }
}

impl Page {
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Rows to read: one more than the page shows, to detect whether another page follows.
    pub(crate) fn rows(&self) -> usize {
        self.limit + 1
    }

    pub(crate) fn is_after(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| key > after)
    }

    /// Responds with up to `limit` rows in JSON. `key` returns the value of `after` for the next page.
    pub(crate) fn json<T, L: Serialize>(
        &self,
        rows: Vec<T>,
        key: impl Fn(&T) -> String,
        list: impl FnOnce(Vec<T>) -> L,
    ) -> Result<Response, Failure> {
        self.show(rows, key, |rows| (JSON, json(&list(rows))))
    }

    /// Like [`Page::json`], with the body that `show` renders.
    pub(crate) fn show<T>(
        &self,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> String,
        show: impl FnOnce(Vec<T>) -> (&'static str, String),
    ) -> Result<Response, Failure> {
        let has_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| has_more).map(key);
        let (media_type, text) = show(rows);
        let mut response = tagged_by_digest(&self.headers, media_type, text)?;
        let headers = response.headers_mut();
        headers.insert(header::VARY, text_value("Accept"));
        if let Some(last) = last {
            let after =
                percent_encoding::utf8_percent_encode(&last, percent_encoding::NON_ALPHANUMERIC);
            let (path, limit) = (self.uri.path(), self.limit);
            let link = format!("<{path}?limit={limit}&after={after}>; rel=\"next\"");
            headers.insert(header::LINK, text_value(&link));
        }
        Ok(response)
    }
}
