//! `repository`: settings, storage, catalogue, router, serve until told to stop, exit code.

mod access;
mod arguments;
mod catalogue;
mod conditional;
mod drain;
mod failure;
mod handlers;
mod health;
mod logging;
mod negotiate;
mod publish;
mod range;
mod receive;
mod releases;
mod request_log;
mod router;
mod serve;
mod settings;
mod storage;
mod timestamp;
mod to_the_end;

use std::process::ExitCode;
use std::sync::Arc;

use arguments::Command;
use catalogue::Catalogue;
use settings::Settings;
use storage::Storage;

/// What every handler works on.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) settings: Settings,
    pub(crate) storage: Storage,
    pub(crate) catalogue: Catalogue,
}

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return fail(&error),
    };
    match command {
        Command::Help(text) => arguments::print(&text),
        Command::Serve => run(serve()),
        Command::Healthcheck => run(health::check()),
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let (settings, warnings) = settings::read(std::env::vars_os())?;
    logging::start(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let storage = Storage::open(&settings.storage).await?;
    let catalogue = Catalogue::load(&storage).await?;
    let repository = Arc::new(Repository {
        settings,
        storage,
        catalogue,
    });
    serve::until_told_to_stop(repository).await?;
    Ok(())
}

fn run(work: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
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
