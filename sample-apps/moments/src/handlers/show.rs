//! `GET /`, `GET /status` and `GET /parameters`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};

use crate::app::App;
use crate::page;
use crate::refusal::Refusal;

pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    let mut response = page::render(&app).into_response();
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(page::POLICY),
    );
    response
}

/// 503 with the reason while a service is unusable.
pub(crate) async fn status(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    match app.services.waiting_for() {
        None => Ok("ok\n"),
        Some(reason) => Err(Refusal::unavailable(reason)),
    }
}

pub(crate) async fn parameters(State(app): State<Arc<App>>) -> String {
    app.settings.parameters()
}
