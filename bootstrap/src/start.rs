//! A start, from the settings to the handover.

use std::io::Write as _;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, geteuid};
use repository_api::Digest;
use repository_api::units::show_size;

use crate::arguments::StartArguments;
use crate::environment;
use crate::exit::{Exit, Failure};
use crate::fetch::{self, Fetched};
use crate::handover::{self, Prepared};
use crate::logging;
use crate::release::{self, Release, Wanted, kept};
use crate::repository::Repository;
use crate::repository::retry::Retry;
use crate::settings::{self, Settings};
use crate::tree::{Demands, Locked, Staging, Tree, Trees};
use crate::unpack::{self, Contents, Rules};

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
        release,
        tree,
        environment,
    })
}

/// With a release to fall back on nobody waits for the whole deadline.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(10);

async fn install(settings: &Settings) -> Result<(Release, Tree), Failure> {
    let known = if settings.offline {
        kept::read(settings)
    } else {
        Ok(None)
    };
    let mut repository = Repository::new(settings)?;
    let all = repository.retry;
    if let Ok(Some(_)) = known {
        repository.retry = Retry::new(settings.deadline.min(OFFLINE_PATIENCE));
    }
    let failure = match online(&mut repository, all, settings).await {
        Ok((release, tree)) => {
            if settings.offline
                && let Err(error) = kept::write(settings, &release.kept)
            {
                tracing::warn!(
                    "failed to keep the release for a start without the repository: {error}"
                );
            }
            return Ok((release, tree));
        }
        // One that says that there is nothing is not away, however long it was asked.
        Err(failure) if failure.exit == Exit::Unreachable && !repository.has_answered() => failure,
        Err(failure) => return Err(failure),
    };
    let Some(release) = known? else {
        return Err(failure);
    };
    let trees = Trees::open(&settings.dir, readers(settings).is_some())?;
    let Some(tree) = again(&trees, &release.artefact, settings, release.artefact.sha256) else {
        return Err(failure);
    };
    tracing::warn!(
        stage = "release",
        "the repository is away: starting {} {} as it was kept, which BOOTSTRAP_OFFLINE allows; {}",
        settings.app,
        version_of(&release),
        failure.chain()
    );
    Ok((release, tree))
}

/// `1.0.0 (release r42)`
fn version_of(release: &Release) -> String {
    let version = release.version.as_ref().map(ToString::to_string);
    let number = release.number.map(|number| format!(" (release r{number})"));
    version.unwrap_or_else(|| "without a version".to_owned()) + &number.unwrap_or_default()
}

async fn online(
    repository: &mut Repository,
    retry: Retry,
    settings: &Settings,
) -> Result<(Release, Tree), Failure> {
    let begin = Instant::now();
    let release = release::find(repository, settings).await?;
    repository.retry = retry;
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        stage = "release",
        app = %settings.app,
        elapsed_ms,
        "{} is {}: {}{} from {}, in {elapsed_ms} ms",
        settings.app,
        version_of(&release),
        release.artefact.file,
        release.artefact.size.map(|size| format!(", {},", show_size(size))).unwrap_or_default(),
        repository.origin().shown("/"),
    );
    let tree = artefact(repository, settings, &release).await?;
    Ok((release, tree))
}

async fn artefact(
    repository: &Repository,
    settings: &Settings,
    release: &Release,
) -> Result<Tree, Failure> {
    let trees = Trees::open(&settings.dir, readers(settings).is_some())?;
    let wanted = &release.artefact;
    if let Some(tree) = again(&trees, wanted, settings, wanted.sha256) {
        return Ok(tree);
    }
    let locked = trees.lock(repository.retry.remaining())?;
    // Whoever held the lock may have brought just this one.
    if let Some(tree) = again(&trees, wanted, settings, wanted.sha256) {
        return Ok(tree);
    }
    locked.sweep(wanted.sha256);
    let download = locked.download(wanted.sha256);
    let plan = fetch::Plan {
        rules: Rules {
            limits: settings.limits,
            readers: readers(settings),
        },
        unpack_on_the_way: !unpack::is_plain(&wanted.file) && settings.trust.keys.is_none(),
        path: &download,
        damaged: settings.trust.exit_for(Exit::Refused),
        json: settings.log.json,
    };
    let fetched = fetch::fetch(repository, wanted, &locked, plan).await?;
    let digest = fetched.sha256;
    if wanted.sha256.is_some() {
        tracing::info!(stage = "verify", sha256 = %digest, "verified sha256:{digest}");
    } else if let Some(tree) = again(&trees, wanted, settings, Some(digest)) {
        return Ok(tree);
    }
    let (staging, contents) = unpacked(fetched, wanted, plan, &locked)?;
    plan.rules.open_to_readers(staging.path())?;
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
    plan: fetch::Plan<'_>,
    locked: &Locked<'_>,
) -> Result<(Staging, Contents), Failure> {
    if let Some(begun) = fetched.begun {
        return begun.finish();
    }
    let staging = locked.stage()?;
    let (file, rules) = (&wanted.file, plan.rules);
    let contents = if unpack::is_plain(file) {
        unpack::place(&fetched.file, plan.path, file, staging.path(), rules)?
    } else {
        // The file that was hashed, and not whatever bears its name by now.
        unpack::unpack_file(&mut fetched.file, file, staging.path(), rules)?
    };
    Ok((staging, contents))
}

/// The group that may read the tree, where it is root's and the app is not.
fn readers(settings: &Settings) -> Option<Gid> {
    let user = settings.user.as_ref()?;
    geteuid().is_root().then_some(user.gid)
}

fn app_uid(settings: &Settings) -> Uid {
    settings.user.as_ref().map_or_else(geteuid, |user| user.uid)
}

/// A tree that is there already.
fn again(
    trees: &Trees,
    wanted: &Wanted,
    settings: &Settings,
    digest: Option<Digest>,
) -> Option<Tree> {
    let digest = digest?;
    let tree = trees.warm(&Demands {
        digest,
        file: unpack::is_plain(&wanted.file).then_some(wanted.file.as_str()),
        readers: readers(settings),
        untouched_by: settings.trust.keys.is_some().then(|| app_uid(settings)),
    })?;
    trees.sweep_if_free(digest);
    tracing::info!(stage = "fetch", bytes = 0, sha256 = %digest, "already unpacked in {}: nothing is downloaded", tree.path.display());
    Some(tree)
}
