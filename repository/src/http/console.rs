//! The console: HTML pages. They read the same catalogue as the API, and their forms write by the same rules.
//!
//! 1. [`visit`]: the user of a request, and their permissions
//! 2. one module per page: [`apps`], [`overview`], [`channel`], [`versions`], [`releases`], [`config`], [`editor`]
//! 3. [`form`]: form fields, and the redirect after a write, so that a reload does not repeat the write
//! 4. [`page`], [`elements`]: shared parts of the pages; [`assets`]: the stylesheet and an optional script
//! 5. [`session`]: signing in and out

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
pub(crate) use page::ErrorPage;

type PageResult = Result<Response, ErrorPage>;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(apps::get))
        .route("/assets/{file}", get(assets::get))
        .route("/sign-in", get(session::page).post(session::sign_in))
        .route("/sign-out", post(session::sign_out))
        .route("/apps/{app}", get(overview::get))
        .route("/apps/{app}/move", get(channel::redirect_to_preview))
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
