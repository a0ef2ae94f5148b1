//! `POST /pictures/{name}/comments`, `{"name": "…", "text": "…"}`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use http::StatusCode;
use serde::Deserialize;

use super::append::{append, clean, writer};
use crate::app::App;
use crate::limits;
use crate::receive;
use crate::refusal::Refusal;
use crate::wall::Content;

/// Enough for both fields, even with every character escaped.
const BODY_BYTES: usize = 8 << 10;

#[derive(Debug, Deserialize)]
struct Form {
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
    let body = receive::body(request.into_body(), BODY_BYTES).await?;
    let form: Form = serde_json::from_slice(&body)
        .map_err(|_| bad(r#"send the comment as JSON: {"name": "…", "text": "…"}"#))?;
    let name =
        clean(&form.name, limits::NAME_CHARACTERS).ok_or_else(|| bad("the name is too long"))?;
    let text = clean(&form.text, limits::COMMENT_CHARACTERS)
        .ok_or_else(|| bad("the comment is too long"))?;
    if text.is_empty() {
        return Err(bad("the comment is empty"));
    }
    if !app.hub.log().has(&picture) {
        let detail = "this picture is not on the wall";
        return Err(Refusal::new(StatusCode::NOT_FOUND, detail));
    }
    let content = Content::Comment {
        picture,
        name,
        text,
    };
    append(&writer, &content).await?;
    Ok(StatusCode::CREATED)
}
