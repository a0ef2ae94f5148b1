//! A picture and a comment come in, a wall goes out. What was taken comes back to every window, the sender's
//! too, by way of the log.

pub(crate) mod window;

mod comment;
mod picture;
mod upload;

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::app::App;
use crate::log::RedisLog;
use crate::page;
use crate::wall::What;

pub(crate) use comment::comment;
pub(crate) use picture::picture;
pub(crate) use upload::upload;

/// What the page has to know of them.
pub(crate) mod limits {
    pub(crate) use super::comment::{NAME, TEXT};
    pub(crate) use super::upload::{CAPTION, MOST as PICTURE};
}

const TEXT: &str = "text/plain; charset=utf-8";

/// What is not done, and why, in a sentence for whoever asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    detail: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = text(self.status, format!("{}\n", self.detail));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, TEXT)], body).into_response()
}

/// `GET /`
pub(crate) async fn wall(State(app): State<Arc<App>>) -> Response {
    let mut response = page::show(&app).into_response();
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(page::POLICY),
    );
    response
}

/// `GET /status`
pub(crate) async fn status(State(app): State<Arc<App>>) -> Response {
    match app.services.waiting() {
        None => text(StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => Refusal::unavailable(reason).into_response(),
    }
}

/// `GET /parameters`
pub(crate) async fn parameters(State(app): State<Arc<App>>) -> Response {
    text(StatusCode::OK, app.settings.parameters())
}

/// The log for writing, if all that is needed is there.
fn writer(app: &App) -> Result<RedisLog, Refusal> {
    if let Some(reason) = app.services.waiting() {
        return Err(Refusal::unavailable(format!("try again soon: {reason}")));
    }
    let writer = app.writer.borrow().clone();
    writer.ok_or_else(|| Refusal::unavailable("try again soon"))
}

async fn append(writer: &RedisLog, what: &What) -> Result<(), Refusal> {
    writer.append(what).await.map_err(|error| {
        tracing::warn!(reason = crate::services::reason(&error), "not written");
        Refusal::unavailable("nobody knows whether this was taken: look at the wall, and try again")
    })
}

/// What somebody wrote, without what cannot be seen around it and within; none if it is too long.
fn tidy(text: &str, most: usize) -> Option<String> {
    let text: String = text
        .trim()
        .chars()
        .filter(|character| !character.is_control() || *character == '\n')
        .collect();
    (text.chars().count() <= most).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn texts_are_tidied() {
        assert_eq!(tidy(" a\tb\u{0}\r\nc \n", 4).as_deref(), Some("ab\nc"));
        assert_eq!(tidy("ähm", 3).as_deref(), Some("ähm"));
        assert_eq!(tidy("ähmm", 3), None);
        assert_eq!(tidy(" \n", 3).as_deref(), Some(""));
    }
}
