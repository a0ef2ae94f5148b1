//! Which handler has which address, and what every answer bears.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::app::App;
use crate::handlers::{self, Refusal};
use crate::{assets, origin};

/// For what is no page: nothing may come of it, should a browser ever take it for one.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

const ALWAYS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

pub(crate) fn new(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(handlers::wall))
        .route("/events", get(handlers::window::open))
        .route("/pictures", post(handlers::upload))
        .route("/pictures/{name}", get(handlers::picture))
        .route("/pictures/{name}/comments", post(handlers::comment))
        .route("/assets/{file}", get(assets::get))
        .route("/status", get(handlers::status))
        .route("/parameters", get(handlers::parameters))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address"))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), frame))
        .with_state(app)
}

async fn frame(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_plain =
        matches!(parts.method, Method::GET | Method::HEAD) && parts.uri.path() != "/events";
    let mut response = if is_plain || origin::is_own(&parts) {
        next.run(Request::from_parts(parts, body)).await
    } else {
        let detail = "this came from a page of another host";
        Refusal::new(StatusCode::FORBIDDEN, detail).into_response()
    };
    let headers = response.headers_mut();
    headers.insert("x-platform-app", app.settings.who.clone());
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NOTHING));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
