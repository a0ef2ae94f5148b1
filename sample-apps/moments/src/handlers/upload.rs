//! `POST /pictures?caption=TEXT`, the picture's bytes as body:
//!
//! 1. receive it, within bounds
//! 2. see what it is
//! 3. keep it under the name that its bytes give it
//! 4. tell everybody, unless it is on the wall already

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;

use super::{Refusal, append, tidy, writer};
use crate::app::App;
use crate::pictures::{self, kind::Kind};
use crate::receive;
use crate::services::reason;
use crate::wall::What;

/// Bytes of a picture.
pub(crate) const MOST: usize = 8 << 20;

/// Characters of a caption.
pub(crate) const CAPTION: usize = 200;

#[derive(Debug, Deserialize)]
pub(crate) struct About {
    #[serde(default)]
    caption: String,
}

pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    Query(about): Query<About>,
    request: Request,
) -> Result<Response, Refusal> {
    let writer = writer(&app)?;
    let Ok(_place) = app.uploads.try_acquire() else {
        return Err(Refusal::unavailable(
            "many pictures come at once: try again",
        ));
    };
    let caption = tidy(&about.caption, CAPTION)
        .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "the caption is too long"))?;
    let bytes = receive::body(request.into_body(), MOST).await?;
    let kind = Kind::of(&bytes).ok_or_else(|| {
        let detail = "this is no picture: PNG, JPEG, GIF and WebP are taken";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    })?;
    let name = pictures::name(&bytes, kind);
    let location = format!("/pictures/{name}");
    let is_known = app.hub.log().has(&name);
    if !is_known {
        app.pictures.put(&name, bytes).await.map_err(|error| {
            tracing::warn!(reason = reason(&error), "a picture is not kept");
            Refusal::unavailable("the picture could not be kept: try again")
        })?;
        let picture = name;
        append(&writer, &What::Picture { picture, caption }).await?;
    }
    let status = if is_known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let body = format!("{location}\n");
    Ok((status, [(header::LOCATION, location)], body).into_response())
}
