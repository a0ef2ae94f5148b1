//! The console: pages for people. They read the same catalogue as the API and write by the same rules.
//!
//! 1. [`visit`]: who asks, and what they may do
//! 2. one module per page: [`apps`], [`overview`], [`channel`], [`versions`], [`releases`], [`config`], [`editor`]
//! 3. [`form`]: what a form sent; the answer redirects to a page, so that reloading it repeats nothing
//! 4. [`page`], [`elements`]: the parts of all pages; [`assets`]: their style, and a script that no page requires
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

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use super::state::App;
pub(crate) use page::Trouble;

/// What the handler of a page returns.
type Shown = Result<Response, Trouble>;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(apps::get))
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
