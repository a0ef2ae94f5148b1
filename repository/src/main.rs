//! `repository`: reads the settings, builds the server, runs it until a signal, drains, and sets the exit code.

mod cli;
mod domain;
mod http;
mod storage;
mod transfer;
mod upkeep;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::arguments::{self, Command};
use crate::domain::catalogue::Catalogue;
use crate::domain::promote::KeyFile;
use crate::domain::publish::Publisher;
use crate::http::access::{Access, admin::Admin};
use crate::http::metrics::Metrics;
use crate::http::serve::{self, Server};
use crate::http::state::{App, Parts};
use crate::http::waiting::Waiting;
use crate::storage::Storage;
use crate::upkeep::check::LastCheck;
use crate::upkeep::readiness::Readiness;
use crate::upkeep::{cache, housekeeping};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for pages of 2 MiB, of which an idle server would touch a few bytes each. A kernel that does
    // not know the switch has no such pages either.
    let _ = nix::sys::prctl::set_thp_disable(true);
    match arguments::parse(std::env::args_os()) {
        Ok(Command::Help(text)) => arguments::print(&text),
        Ok(Command::Serve) => run(serve()),
        Ok(command) => run(cli::run(command)),
        Err(error) => fail(&error),
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let (settings, _log) = cli::start_server()?;
    let admin = settings.admin_token_file.as_deref();
    let admin = admin.map(Admin::open).transpose()?;
    let storage = Storage::open(&settings.storage).await?;
    if let Some((directory, size)) = settings.cache {
        cache::open(&storage, directory, size);
    }

    let catalogue = Arc::new(Catalogue::new(storage.clone()));
    let last_check = Arc::new(LastCheck::default());
    let metrics = Arc::new(Metrics::new(Arc::clone(&last_check)));
    let access = Access::new(
        Arc::clone(&catalogue),
        admin,
        settings.open,
        Arc::clone(&metrics),
    );
    let gc_age = settings.upkeep.gc_age;
    let app = App::new(Parts {
        publisher: Publisher::new(Arc::clone(&catalogue), settings.quota, gc_age),
        key_file: KeyFile::new(settings.trusted_keys_file.as_deref()),
        access: Arc::new(access),
        body_limits: settings.body_limits,
        waiting: Waiting::new(Arc::clone(&metrics), serve::max_connections() / 2).into(),
        readiness: Readiness::new(storage.clone()).into(),
        catalogue: Arc::clone(&catalogue),
        metrics,
    });
    housekeeping::start(&catalogue, settings.upkeep, &last_check);

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::bind(settings.server, app)?;
    let address = server.address();
    tracing::info!(%address, storage = %storage.location(), "repository is ready");
    server
        .run_until(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    server.drain().await;
    Ok(())
}

fn run(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // More threads make no disk faster, and each has a heap.
        .max_blocking_threads(64)
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(work));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

/// Prints an error with its causes. Nothing else prints errors.
fn fail(error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    #[expect(clippy::print_stderr, reason = "the log may not have started yet")]
    {
        eprintln!("repository: {text}");
    }
    ExitCode::FAILURE
}
