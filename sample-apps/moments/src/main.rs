//! `moments`: pictures and comments that every window on every replica shows at once.
//!
//! 1. [`settings`]: what the config says
//! 2. [`services`]: what is waited for, and why; [`backoff`]: for how long before the next attempt
//! 3. [`feed`]: follows the log in Redis ([`log`]); [`wall`]: what it adds up to; [`hub`]: who is told
//! 4. [`pictures`]: in a bucket of S3
//! 5. [`router`] and [`handlers`]: a picture, a comment, a window; [`page`] and [`assets`]: what a browser gets
//! 6. [`stop`]: windows are closed and requests finished

mod app;
mod assets;
mod backoff;
mod feed;
mod handlers;
mod hub;
mod log;
mod origin;
mod page;
mod pictures;
mod receive;
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
        // They would be written where nothing can be written any more, and that is a panic.
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
    // What happens is told at once, and not when there is more to tell.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let app = App::new(settings, hub, writer, pictures, services, stop.clone());
    let windows = Arc::clone(&app.windows);
    let serving =
        axum::serve(listener, router::new(app)).with_graceful_shutdown(stop.clone().asked());
    stop.within_grace(serving, windows).await?;
    Ok(())
}
