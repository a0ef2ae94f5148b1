//! The routes of the contract. One handler a verb.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, put};
use http::{Method, StatusCode, Uri};

use crate::Repository;
use crate::console;
use crate::failure::Failure;
use crate::handlers::{
    artefact, channel, config, events, legacy, listing, probe, release, retention, signature, yank,
};

pub(crate) fn router(repository: Arc<Repository>) -> Router {
    Router::new()
        .route("/healthz", get(probe::live))
        .route("/readyz", get(probe::ready))
        .route("/metrics", get(probe::metrics))
        .route(events::PATH, get(events::get))
        .route("/artefacts", get(listing::apps))
        .route("/artefacts/", get(listing::apps))
        .route("/artefacts/{app}", get(listing::versions))
        .route("/artefacts/{app}/", get(listing::versions))
        .route(
            "/artefacts/{app}/{version}",
            get(listing::files)
                .put(artefact::put_nameless)
                .delete(yank::delete),
        )
        .route(
            "/artefacts/{app}/{version}/",
            get(listing::files)
                .put(artefact::put_nameless)
                .delete(yank::delete),
        )
        .route(
            "/artefacts/{app}/{version}/{file}",
            get(artefact::get).put(artefact::put),
        )
        .route("/config/{app}", get(config::merged))
        .route("/config/{app}/", get(config::merged))
        .route("/config/{app}/{file}", get(config::get).put(config::put))
        .route("/config/{app}/{file}/history", get(config::history))
        .route("/releases/{app}", get(release::list))
        .route("/releases/{app}/", get(release::list))
        .route(
            "/releases/{app}/{reference}",
            get(release::get).put(signature::put),
        )
        .route("/channels/{app}", get(channel::list))
        .route("/channels/{app}/", get(channel::list))
        .route(
            "/channels/{app}/{channel}",
            get(channel::get).put(channel::put),
        )
        .route("/channels/{app}/{channel}/history", get(channel::history))
        .route(
            "/channels/{app}/{channel}/signed-only",
            get(channel::get_signed_only).put(channel::put_signed_only),
        )
        .route("/retention/{app}", get(retention::get).put(retention::put))
        .route("/files/{app}/{file}", get(legacy::get))
        .route("/", get(listing::root))
        .route(
            "/artefacts/{app}/{version}/yanked",
            put(yank::put).get(yank::get),
        )
        .merge(console::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(repository)
}

async fn unknown(uri: Uri) -> Failure {
    Failure::not_found(format!(
        "there is nothing at {}: artefacts are under /artefacts/, config under /config/, releases under /releases/, channels under /channels/",
        uri.path()
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{method} is not possible at {}: this answer's Allow header says what is",
            uri.path()
        ),
    )
}
