//! The routes of the contract. One handler a verb, described beside it: path and method are taken from there.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode, Uri};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Repository;
use crate::http::console;
use crate::http::failure::Failure;
use crate::http::handlers::{
    artefact, channel, config, events, legacy, listing, probe, release, retention, signature, yank,
};
use crate::http::openapi::{self, Document};

pub(crate) fn router(repository: Arc<Repository>) -> Router {
    let (router, document) = described().split_for_parts();
    let document = Document::of(&document);
    router
        .merge(aliases())
        .merge(console::routes())
        .route("/", get(listing::root))
        .route(
            "/openapi.json",
            get(async move |headers: HeaderMap| document.answer(&headers)),
        )
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(repository)
}

fn described() -> OpenApiRouter<Arc<Repository>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(probe::live))
        .routes(routes!(probe::ready))
        .routes(routes!(probe::metrics))
        .routes(routes!(events::get))
        .routes(routes!(listing::apps))
        .routes(routes!(listing::versions))
        .routes(routes!(listing::files, yank::delete))
        .routes(routes!(artefact::get, artefact::put))
        .routes(routes!(yank::get, yank::put))
        .routes(routes!(retention::get, retention::put))
        .routes(routes!(legacy::get))
        .routes(routes!(config::merged))
        .routes(routes!(config::get, config::put))
        .routes(routes!(config::history))
        .routes(routes!(release::list))
        .routes(routes!(release::get, signature::put))
        .routes(routes!(channel::list))
        .routes(routes!(channel::get, channel::put))
        .routes(routes!(channel::history))
        .routes(routes!(channel::get_signed_only, channel::put_signed_only))
}

/// With and without the last slash.
fn aliases() -> Router<Arc<Repository>> {
    Router::new()
        .route("/artefacts", get(listing::apps))
        .route("/artefacts/{app}", get(listing::versions))
        .route(
            "/artefacts/{app}/{version}",
            get(listing::files).delete(yank::delete),
        )
        .route("/config/{app}", get(config::merged))
        .route("/releases/{app}", get(release::list))
        .route("/channels/{app}", get(channel::list))
}

async fn unknown(uri: Uri) -> Response {
    if uri.path() == "/apps" || uri.path() == "/apps/" {
        return Redirect::to("/").into_response();
    }
    let failure = Failure::not_found(format!(
        "there is nothing at {}: artefacts are under /artefacts/, config under /config/, releases under /releases/, channels under /channels/",
        uri.path()
    ));
    if console::is_page(uri.path()) {
        return console::Trouble::from(failure).into_response();
    }
    failure.into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let path = uri.path();
    // `curl -T -` has no name to add after the last slash.
    let is_nameless = method == Method::PUT && path.starts_with("/artefacts/");
    let detail = if is_nameless {
        "the address names no file: write it at the end, as in /artefacts/hello-world/1.0.0/hello-world-1.0.0.tar.gz".to_owned()
    } else {
        format!("{method} is not possible at {path}: this answer's Allow header says what is")
    };
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
