//! The routes of the contract. Each handler bears its description, from which the router takes path and method.

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
    let (router, document) = described().split_for_parts();
    let document = Document::of(&document);
    router
        .merge(aliases())
        .merge(console::routes())
        .route(
            "/openapi.json",
            get(async move |headers: HeaderMap| document.answer(&headers)),
        )
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

fn described() -> OpenApiRouter<App> {
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

/// The paths of directories without the last slash.
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

async fn unknown(uri: Uri) -> Response {
    if uri.path() == "/apps" || uri.path() == "/apps/" {
        return Redirect::to("/").into_response();
    }
    let failure = Failure::not_found(format!(
        "nothing is at {}: artefacts are under /artefacts/, config under /config/, releases under /releases/, channels under /channels/",
        uri.path()
    ));
    if paths::is_page(uri.path()) {
        return console::Trouble::from(failure).into_response();
    }
    failure.into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let path = uri.path();
    // `curl -T -` adds no file name after the last slash.
    let is_nameless = method == Method::PUT && path.starts_with("/artefacts/");
    let detail = if is_nameless {
        "the path names no file: append its name, as in /artefacts/hello-world/1.0.0/hello-world-1.0.0.tar.gz".to_owned()
    } else {
        format!("{path} does not support {method}: the Allow header lists its methods")
    };
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
