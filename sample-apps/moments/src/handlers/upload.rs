//! `POST /pictures?caption=TEXT`, with the picture as the body:
//!
//! 1. Receive the picture, up to a limit.
//! 2. Detect its format.
//! 3. Store it under the digest of its bytes.
//! 4. Append it to the log, unless it is on the wall already.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;

use super::append::{append, clean, writer};
use crate::app::App;
use crate::limits;
use crate::pictures::{self, format::Format};
use crate::receive;
use crate::refusal::Refusal;
use crate::services::reason;
use crate::wall::Content;

#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    #[serde(default)]
    caption: String,
}

pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<Response, Refusal> {
    let writer = writer(&app)?;
    let Ok(_permit) = app.uploads.try_acquire() else {
        return Err(Refusal::unavailable("too many uploads are running: retry"));
    };
    let caption = clean(&parameters.caption, limits::CAPTION_CHARACTERS)
        .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "the caption is too long"))?;
    let bytes = receive::body(request.into_body(), limits::PICTURE_BYTES).await?;
    let format = Format::of(&bytes).ok_or_else(|| {
        let detail = "not a supported picture: send PNG, JPEG, GIF or WebP";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    })?;
    let name = pictures::name(&bytes, format);
    let location = format!("/pictures/{name}");
    let is_known = app.hub.log().has(&name);
    if !is_known {
        app.pictures.put(&name, bytes).await.map_err(|error| {
            tracing::warn!(reason = reason(&error), "failed to store a picture");
            Refusal::unavailable("the picture could not be stored: retry")
        })?;
        let picture = name;
        append(&writer, &Content::Picture { picture, caption }).await?;
    }
    let status = if is_known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let body = format!("{location}\n");
    Ok((status, [(header::LOCATION, location)], body).into_response())
}
