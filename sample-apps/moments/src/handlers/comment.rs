//! `POST /pictures/{name}/comments`, `{"name": "…", "text": "…"}`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use http::StatusCode;
use serde::Deserialize;

use super::{Refusal, append, tidy, writer};
use crate::app::App;
use crate::receive;
use crate::wall::What;

/// Characters of a name, and of a comment.
pub(crate) const NAME: usize = 40;
pub(crate) const TEXT: usize = 500;

/// Bytes of both, as JSON that escapes every character.
const MOST: usize = 8 << 10;

#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    name: String,
    text: String,
}

pub(crate) async fn comment(
    State(app): State<Arc<App>>,
    Path(picture): Path<String>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let writer = writer(&app)?;
    let bad = |detail| Refusal::new(StatusCode::BAD_REQUEST, detail);
    let body = receive::body(request.into_body(), MOST).await?;
    let said: Said = serde_json::from_slice(&body)
        .map_err(|_| bad(r#"a comment is JSON: {"name": "…", "text": "…"}"#))?;
    let name = tidy(&said.name, NAME).ok_or_else(|| bad("the name is too long"))?;
    let text = tidy(&said.text, TEXT).ok_or_else(|| bad("the comment is too long"))?;
    if text.is_empty() {
        return Err(bad("the comment is empty"));
    }
    if !app.hub.log().has(&picture) {
        let detail = "this picture is not on the wall";
        return Err(Refusal::new(StatusCode::NOT_FOUND, detail));
    }
    let what = What::Comment {
        picture,
        name,
        text,
    };
    append(&writer, &what).await?;
    Ok(StatusCode::CREATED)
}
