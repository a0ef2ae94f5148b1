//! `moments`: a wall of pictures and comments that updates live in every window, on every replica.
//!
//! 1. [`settings`] reads the environment.
//! 2. [`services`] tracks whether Redis and S3 are usable; [`backoff`] spaces the retries.
//! 3. [`feed`] follows the [`log`] in Redis, [`wall`] builds the wall from it, [`hub`] notifies the windows.
//! 4. [`pictures`] stores the pictures in S3.
//! 5. [`router`] and [`handlers`] serve HTTP and `WebSockets`; [`page`] and [`assets`] are the front end.
//! 6. [`stop`] shuts down on a signal: it closes the windows and finishes the open requests.

mod app;
mod assets;
mod backoff;
mod feed;
mod handlers;
mod hub;
mod limits;
mod log;
mod origin;
mod page;
mod pictures;
mod receive;
mod refusal;
mod router;
mod services;
mod settings;
mod stop;
mod wall;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use app::App;
use hub::Hub;
use pictures::Pictures;
use services::Services;
use stop::Stop;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        // Reporting a failed write to stderr would write to stderr, and that panics.
        .log_internal_errors(false)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let settings = settings::read(std::env::vars_os())?;
    let stop = Stop::on_signal()?;
    let services = Arc::new(Services::new());
    let hub = Arc::new(Hub::new());

    let redis = redis::Client::open(settings.redis.as_str())?;
    let writer = feed::start(redis, Arc::clone(&hub), Arc::clone(&services));
    let pictures = Pictures::open(&settings.pictures)?;
    tokio::spawn(pictures.clone().watch(Arc::clone(&services)));

    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, settings.port));
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    // Events are small, and Nagle's algorithm would delay them.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let app = App::new(settings, hub, writer, pictures, services, stop.clone());
    let windows = Arc::clone(&app.windows);
    let serving =
        axum::serve(listener, router::new(app)).with_graceful_shutdown(stop.clone().requested());
    stop.within_grace(serving, windows).await?;
    Ok(())
}
