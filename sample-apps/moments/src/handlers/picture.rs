//! `GET /pictures/{name}`: what is kept under that name, for ever.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

use super::Refusal;
use crate::app::App;
use crate::pictures::kind_of;
use crate::services::reason;

const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub(crate) async fn picture(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "there is no such picture");
    let kind = kind_of(&name).ok_or_else(missing)?;
    let etag = format!("\"{name}\"");
    let always = [
        (header::CACHE_CONTROL, FOR_EVER.to_owned()),
        (header::ETAG, etag.clone()),
    ];
    // A name never means other bytes, so whoever has any has the right ones.
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, always).into_response());
    }
    let found = app.pictures.get(&name).await.map_err(|error| {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return missing();
        }
        tracing::warn!(reason = reason(&error), "a picture cannot be read");
        Refusal::unavailable("the picture cannot be read at the moment: try again")
    })?;
    let about = [
        (header::CONTENT_TYPE, kind.media_type().to_owned()),
        (header::CONTENT_LENGTH, found.meta.size.to_string()),
    ];
    Ok((always, about, Body::from_stream(found.into_stream())).into_response())
}
