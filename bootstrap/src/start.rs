//! A start, from the settings to the handover.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use repository_api::Digest;
use repository_api::units::show_size;

use crate::arguments::StartArguments;
use crate::environment;
use crate::exit::{Exit, Failure};
use crate::fetch::{self, Fetched};
use crate::handover::{self, Prepared};
use crate::logging;
use crate::release::{self, Release, Wanted};
use crate::repository::Repository;
use crate::settings::{self, Settings};
use crate::tree::{Locked, Staging, Tree, Trees};
use crate::unpack::{self, Contents};

/// Everything, to the app's exit code or the handover.
pub(crate) fn run(arguments: &StartArguments) -> Result<i32, Failure> {
    let prepared = prepare(arguments)?;
    handover::hand_over(&prepared, &arguments.command)
}

/// Everything up to, and not including, the start; prints the directory.
pub(crate) fn fetch_only(arguments: &StartArguments) -> Result<i32, Failure> {
    let prepared = prepare(arguments)?;
    writeln!(std::io::stdout(), "{}", prepared.tree.path.display()).map_err(|error| {
        Failure::new(Exit::CannotWrite, "failed to write to standard output").because(error)
    })?;
    Ok(0)
}

fn prepare(arguments: &StartArguments) -> Result<Prepared, Failure> {
    logging::start(settings::log_settings(std::env::vars_os()));
    let (settings, warnings) = settings::read(arguments, std::env::vars_os())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                Exit::CannotWrite,
                "failed to start: no memory or no descriptors",
            )
            .because(error)
        })?;
    let (release, tree) = runtime.block_on(install(&settings))?;
    // A name that is being resolved must not keep anybody waiting.
    runtime.shutdown_background();
    let environment = environment::build(&settings, &release, std::env::vars_os())?;
    Ok(Prepared {
        settings,
        tree,
        environment,
    })
}

async fn install(settings: &Settings) -> Result<(Release, Tree), Failure> {
    let begin = Instant::now();
    let repository = Repository::new(settings)?;
    let release = release::find(&repository, settings).await?;
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let version = release
        .version
        .as_ref()
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    let number = release
        .number
        .map(|number| format!(" (release r{number})"))
        .unwrap_or_default();
    tracing::info!(
        stage = "release",
        app = %settings.app,
        elapsed_ms,
        "{} is{version}{number}: {}{} from {}, in {elapsed_ms} ms",
        settings.app,
        release.artefact.file,
        release.artefact.size.map(|size| format!(", {},", show_size(size))).unwrap_or_default(),
        repository.origin().shown("/"),
    );
    let tree = artefact(&repository, settings, &release).await?;
    Ok((release, tree))
}

async fn artefact(
    repository: &Repository,
    settings: &Settings,
    release: &Release,
) -> Result<Tree, Failure> {
    let trees = Trees::open(&settings.dir)?;
    let wanted = &release.artefact;
    if let Some(tree) = warm(&trees, wanted, wanted.sha256) {
        return Ok(tree);
    }
    let locked = trees.lock(repository.retry.remaining())?;
    // Whoever held the lock may have brought just this one.
    if let Some(tree) = warm(&trees, wanted, wanted.sha256) {
        return Ok(tree);
    }
    locked.sweep(wanted.sha256);
    let download = locked.download(wanted.sha256);
    let plan = fetch::Plan {
        limits: settings.limits,
        unpack_on_the_way: !unpack::is_plain(&wanted.file),
        path: &download,
        json: settings.log.json,
    };
    let fetched = fetch::fetch(repository, wanted, &locked, plan).await?;
    let digest = fetched.sha256;
    if wanted.sha256.is_some() {
        tracing::info!(stage = "verify", sha256 = %digest, "verified sha256:{digest}");
    } else if let Some(tree) = warm(&trees, wanted, Some(digest)) {
        return Ok(tree);
    }
    let (staging, contents) = unpacked(fetched, wanted, settings, &locked, &download)?;
    contents.log();
    let tree = locked.publish(&staging, &contents.inventory, digest)?;
    // Its bytes are in the tree now.
    match std::fs::remove_file(&download) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::cannot_write(&download, error))
        }
        _ => Ok(tree),
    }
}

/// The tree that an artefact makes, staged.
fn unpacked(
    mut fetched: Fetched,
    wanted: &Wanted,
    settings: &Settings,
    locked: &Locked<'_>,
    download: &Path,
) -> Result<(Staging, Contents), Failure> {
    if let Some(begun) = fetched.begun {
        return begun.finish();
    }
    let staging = locked.stage()?;
    let (file, limits) = (&wanted.file, settings.limits);
    let contents = if unpack::is_plain(file) {
        unpack::place(&fetched.file, download, file, staging.path(), limits)?
    } else {
        // The file that was hashed, and not whatever bears its name by now.
        unpack::unpack_file(&mut fetched.file, file, staging.path(), limits)?
    };
    Ok((staging, contents))
}

fn warm(trees: &Trees, wanted: &Wanted, digest: Option<Digest>) -> Option<Tree> {
    let digest = digest?;
    let tree = trees.warm(
        digest,
        unpack::is_plain(&wanted.file).then_some(wanted.file.as_str()),
    )?;
    trees.sweep_if_free(digest);
    tracing::info!(stage = "fetch", bytes = 0, sha256 = %digest, "already unpacked in {}: nothing is downloaded", tree.path.display());
    Some(tree)
}
