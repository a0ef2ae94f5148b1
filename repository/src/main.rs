//! `repository`: settings, storage, catalogue, router, serve until told to stop, exit code.

mod access;
mod arguments;
mod catalogue;
mod check;
mod commands;
mod conditional;
mod configure;
mod console;
mod differences;
mod drain;
mod export;
mod failure;
mod gc;
mod handlers;
mod health;
mod housekeeping;
mod import;
mod layers;
mod logging;
mod long_poll;
mod metrics;
mod negotiate;
mod openapi;
mod progress;
mod promote;
mod publish;
mod purge;
mod range;
mod readiness;
mod receive;
mod releases;
mod request_log;
mod retention;
mod router;
mod serve;
mod settings;
mod stamp;
mod storage;
mod timestamp;
mod tls;
mod to_the_end;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::admin::Admin;
use access::failures::Failures;
use arguments::Command;
use catalogue::Catalogue;
use layers::Layers;
// Its `memcpy` and the like take the place of the C library's.
use memory as _;
use metrics::Metrics;
use readiness::Readiness;
use settings::Settings;
use storage::cache::Cache;
use storage::{Location, Storage};
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every handler works on.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) settings: Settings,
    pub(crate) storage: Storage,
    pub(crate) catalogue: Catalogue,
    pub(crate) layers: Layers,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    /// Requests that may wait for a change at once.
    pub(crate) max_waiting: i64,
    /// The admin token, if there is one.
    pub(crate) admin: Option<Arc<Admin>>,
    /// Of those who came with a token that is none.
    pub(crate) failures: Failures,
    /// Whether the server was told to stop: nobody waits for changes any more.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Repository {
    /// Whether another one may hold a connection for what happens later: whoever has gone holds it until something
    /// is to be said, and must leave room for others.
    pub(crate) fn has_room_to_wait(&self) -> bool {
        self.metrics.waiting.get() + self.metrics.following.get() < self.max_waiting
    }

    fn new(settings: Settings, storage: Storage, admin: Option<Arc<Admin>>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            catalogue: Catalogue::new(storage.clone()),
            layers: Layers::new(storage.clone()),
            storage,
            readiness: Readiness::default(),
            metrics: Metrics::default(),
            max_waiting: i64::try_from(serve::max_connections() / 2).unwrap_or(i64::MAX),
            admin,
            failures: Failures::default(),
            stopping: watch::Sender::default(),
        })
    }
}

fn main() -> ExitCode {
    // The allocator asks for pages of 2 MiB, of which a server that idles would touch a few bytes each. An old kernel
    // that knows no such switch has no such pages either.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let command = match arguments::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return fail(&error),
    };
    match command {
        Command::Help(text) => arguments::print(&text),
        Command::Serve => run(serve()),
        Command::Healthcheck => run(health::check()),
        Command::Check => run(commands::check()),
        Command::Gc { deletes } => run(commands::gc(deletes)),
        Command::Export(target) => run(commands::export(target)),
        Command::Import(source) => run(commands::import(source)),
        Command::Token(command) => run(commands::token(command)),
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let (settings, warnings) = settings::read(std::env::vars_os())?;
    let _log = logging::start_in_background(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let admin = settings.admin_token_file.as_deref();
    let admin = admin.map(Admin::open).transpose()?;
    let storage = Storage::open(&settings.storage).await?;
    use_cache(&storage, &settings);
    let repository = Repository::new(settings, storage, admin);
    housekeeping::start(&repository);
    serve::until_told_to_stop(repository).await?;
    Ok(())
}

/// What is far away is kept near, if there is a place for it. A predecessor that is just being replaced may have
/// it still: then as soon as that one has gone.
fn use_cache(storage: &Storage, settings: &Settings) {
    const AGAIN: Duration = Duration::from_secs(5);
    if settings.cache_size == 0 || matches!(settings.storage, Location::Directory(_)) {
        return;
    }
    let (directory, size) = (settings.cache.clone(), settings.cache_size);
    let error = match Cache::open(&directory, size) {
        Ok(cache) => return storage.use_cache(cache),
        Err(error) => error,
    };
    tracing::warn!(
        %error,
        directory = %directory.display(),
        "there is no cache yet: artefacts come from the store each time; REPOSITORY_CACHE sets another directory, REPOSITORY_CACHE_SIZE=0 none"
    );
    let storage = storage.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(AGAIN).await;
            if let Ok(cache) = Cache::open(&directory, size) {
                tracing::info!("there is a cache from now on");
                return storage.use_cache(cache);
            }
        }
    });
}

fn run(work: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // More would make no disk faster, and each thread has a heap.
        .max_blocking_threads(64)
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(work));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

/// The one place where an error chain is printed.
fn fail(error: &dyn std::error::Error) -> ExitCode {
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
