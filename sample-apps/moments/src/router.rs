//! The routes, and the headers and checks that every answer shares.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::app::App;
use crate::refusal::Refusal;
use crate::{assets, handlers, origin};

/// Policy of every answer but the page, should a browser render one as a document.
const DEFAULT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

const SECURITY_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

pub(crate) fn new(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(handlers::page))
        .route("/events", get(handlers::window))
        .route("/pictures", post(handlers::upload))
        .route("/pictures/{name}", get(handlers::picture))
        .route("/pictures/{name}/comments", post(handlers::comment))
        .route("/assets/{file}", get(assets::get))
        .route("/status", get(handlers::status))
        .route("/parameters", get(handlers::parameters))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "no such page"))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Refuses writes and `WebSockets` of other origins, and adds the headers that every answer has.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_read =
        matches!(parts.method, Method::GET | Method::HEAD) && parts.uri.path() != "/events";
    let mut response = if is_read || origin::is_same_origin(&parts) {
        next.run(Request::from_parts(parts, body)).await
    } else {
        let detail = "cross-origin requests are not allowed";
        Refusal::new(StatusCode::FORBIDDEN, detail).into_response()
    };
    let headers = response.headers_mut();
    headers.insert("x-platform-app", app.settings.identity.clone());
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(DEFAULT_POLICY));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
