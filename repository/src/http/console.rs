//! The console: pages for people, made by the server, which read the same catalogue as the API and write by the
//! same rules.
//!
//! 1. [`visit`]: who looks, and what they may do
//! 2. a page a resource: [`apps`], [`overview`], [`channel`], [`versions`], [`releases`], [`config`]
//! 3. [`form`]: what a form sent; the answer leads back to a page, so that reloading it does nothing again
//! 4. [`page`], [`elements`]: what all pages are made of; [`assets`]: their style, and a script that no page needs
//! 5. [`session`]: signing in

mod apps;
mod assets;
mod channel;
mod config;
mod differences;
mod editor;
mod elements;
mod form;
mod overview;
mod page;
mod releases;
pub(crate) mod session;
mod versions;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use crate::Repository;

pub(crate) use apps::apps;
pub(crate) use page::Trouble;
pub(crate) use visit::Visit;

/// What a page's handler makes.
type Shown = Result<Response, Trouble>;

pub(crate) fn routes() -> Router<Arc<Repository>> {
    Router::new()
        .route("/assets/{file}", get(assets::get))
        .route("/sign-in", get(session::page).post(session::sign_in))
        .route("/sign-out", post(session::sign_out))
        .route("/apps/{app}", get(overview::get))
        .route("/apps/{app}/move", get(channel::chosen))
        .route(
            "/apps/{app}/channels/{channel}",
            get(channel::get).post(channel::post),
        )
        .route("/apps/{app}/versions", get(versions::get))
        .route("/apps/{app}/versions/{version}", post(versions::post))
        .route("/apps/{app}/releases", get(releases::list))
        .route("/apps/{app}/releases/{release}", get(releases::get))
        .route("/apps/{app}/config", get(config::get))
        .route(
            "/apps/{app}/config/{file}",
            get(editor::get).post(editor::post),
        )
}

/// Whether the request is for a page, whose handler wants to know who looks.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/apps/") || path.starts_with("/sign-")
}
