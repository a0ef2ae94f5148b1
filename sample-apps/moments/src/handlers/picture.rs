//! `GET /pictures/{name}`. A name always stands for the same bytes, so clients may cache a picture forever.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

use crate::app::App;
use crate::pictures::format_of;
use crate::refusal::Refusal;
use crate::services::reason;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

pub(crate) async fn picture(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "no such picture");
    let format = format_of(&name).ok_or_else(missing)?;
    let etag = format!("\"{name}\"");
    let caching = [
        (header::CACHE_CONTROL, IMMUTABLE.to_owned()),
        (header::ETAG, etag.clone()),
    ];
    // A cached copy is always current, so this needs no look at the store.
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tag| tag.as_bytes() == etag.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let found = app.pictures.get(&name).await.map_err(|error| {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return missing();
        }
        tracing::warn!(reason = reason(&error), "failed to read a picture");
        Refusal::unavailable("the picture cannot be read at the moment: retry")
    })?;
    let content = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_LENGTH, found.meta.size.to_string()),
    ];
    Ok((caching, content, Body::from_stream(found.into_stream())).into_response())
}
