//! The routes. Each handler has an `OpenAPI` description, from which the router takes path and method.

use axum::Router;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode, Uri};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::failure::Failure;
use super::handlers::{
    artefact, channel, config, events, legacy, listing, probe, release, retention, signature, yank,
};
use super::openapi::{self, Document};
use super::state::App;
use super::{console, paths};

pub(crate) fn router(app: App) -> Router {
    let (router, document) = api_routes().split_for_parts();
    let document = Document::of(&document);
    router
        .merge(aliases())
        .merge(console::routes())
        .route(
            "/openapi.json",
            get(async move |headers: HeaderMap| document.respond(&headers)),
        )
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

fn api_routes() -> OpenApiRouter<App> {
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

/// Paths of listings without the trailing slash.
fn aliases() -> Router<App> {
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

async fn unknown_path(uri: Uri) -> Response {
    if uri.path() == "/apps" || uri.path() == "/apps/" {
        return Redirect::to("/").into_response();
    }
    let failure = Failure::not_found(format!(
        "no resource exists at {}: use /artefacts/, /config/, /releases/ or /channels/; GET /openapi.json describes the API",
        uri.path()
    ));
    if paths::is_page(uri.path()) {
        return console::ErrorPage::from(failure).into_response();
    }
    failure.into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let path = uri.path();
    // `curl -T -` adds no file name after the last slash.
    let lacks_file_name = method == Method::PUT && path.starts_with("/artefacts/");
    let detail = if lacks_file_name {
        "the path has no file name: append one, such as /artefacts/hello-world/1.0.0/hello-world-1.0.0.tar.gz".to_owned()
    } else {
        format!("{path} does not support {method}: use a method from the Allow header")
    };
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
