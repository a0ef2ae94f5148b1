//! A start, from the settings to the handover.
//!
//! 1. settings
//! 2. release document, from the repository or, with `OFFLINE=allow`, as saved by an earlier start
//! 3. the tree: reused, or fetched, verified and unpacked
//! 4. retirement of the app's superseded trees
//! 5. environment
//! 6. handover

use std::io::Write as _;
use std::path::PathBuf;
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
use crate::release::offline::{self, SavedReleases};
use crate::release::{self, Release, Wanted};
use crate::repository::Repository;
use crate::repository::retry::Retry;
use crate::settings::{self, Mode, Settings};
use crate::tree::{self, Demands, LockedTrees, Retired, Staging, Tree, Trees, removal};
use crate::unpack::{self, Contents, Rules};

/// Starts an app; returns its exit code unless the handover replaces this process.
pub(crate) fn run(arguments: &StartArguments) -> Result<i32, Failure> {
    let (prepared, retired) = prepare(arguments)?;
    match prepared.settings.mode {
        Mode::Supervise => removal::remove_in_background(&retired),
        // The app takes the place of this process and would inherit a child that it does not know.
        Mode::Exec => removal::remove_all(&retired),
    }
    handover::hand_over(&prepared, &arguments.command)
}

/// Prepares a start, and prints the directory of the tree.
pub(crate) fn fetch_only(arguments: &StartArguments) -> Result<i32, Failure> {
    let (prepared, retired) = prepare(arguments)?;
    writeln!(std::io::stdout(), "{}", prepared.tree.path.display()).map_err(|error| {
        Failure::new(Exit::CannotWrite, "failed to write to standard output").because(error)
    })?;
    removal::remove_all(&retired);
    Ok(0)
}

/// Returns the directories to remove, too.
fn prepare(arguments: &StartArguments) -> Result<(Prepared, Vec<PathBuf>), Failure> {
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
    let (release, tree, is_saved) = runtime.block_on(install(&settings))?;
    // A name lookup that still runs must not delay the start.
    runtime.shutdown_background();
    let environment = environment::build(&settings, &release, std::env::vars_os())?;
    // While the repository is unreachable, no other instance could fetch its tree again.
    let retired = if is_saved {
        Retired::default()
    } else {
        retire_superseded(&settings, &tree)
    };
    let prepared = Prepared {
        settings,
        release,
        tree,
        environment,
    };
    Ok((prepared, retired.paths))
}

/// Retires the app's superseded trees, unless another start holds the directory's lock: then the next
/// start does it.
fn retire_superseded(settings: &Settings, current: &Tree) -> Retired {
    let Ok(trees) = Trees::open(&settings.dir, readers(settings).is_some()) else {
        return Retired::default();
    };
    let Some(locked) = LockedTrees::try_now(&trees) else {
        return Retired::default();
    };
    let saved = SavedReleases::in_directory(&settings.dir);
    let retired =
        tree::retire_superseded(&locked, &settings.app.app, current, |tree| saved.need(tree));
    for digest in &retired.digests {
        saved.forget(*digest);
    }
    retired
}

/// The deadline while a saved release can replace the repository's answer.
const OFFLINE_DEADLINE: Duration = Duration::from_secs(10);

/// Returns whether the release is a saved one, too.
async fn install(settings: &Settings) -> Result<(Release, Tree, bool), Failure> {
    let saved = if settings.offline {
        offline::read(settings)
    } else {
        Ok(None)
    };
    let mut repository = Repository::new(settings)?;
    let whole_deadline = repository.retry;
    if let Ok(Some(_)) = saved {
        repository.retry = Retry::new(settings.deadline.min(OFFLINE_DEADLINE));
    }
    let failure = match install_online(&mut repository, whole_deadline, settings).await {
        Ok((release, tree)) => {
            if settings.offline
                && let Err(error) = offline::write(settings, &release.saved, tree.digest())
            {
                tracing::warn!(
                    "failed to save the release for a start without the repository: {error}"
                );
            }
            return Ok((release, tree, false));
        }
        // A repository that answered is not away, however late the answer came.
        Err(failure) if failure.exit == Exit::Unreachable && !repository.has_answered() => failure,
        Err(failure) => return Err(failure),
    };
    let Some(release) = saved? else {
        return Err(failure);
    };
    let trees = Trees::open(&settings.dir, readers(settings).is_some())?;
    let Some(tree) = reuse(&trees, &release.artefact, settings, release.artefact.sha256) else {
        return Err(failure);
    };
    tracing::warn!(
        stage = "release",
        "the repository is away: starting the saved {} {}, as BOOTSTRAP_OFFLINE allows; {}",
        settings.app,
        version_of(&release),
        failure.chain()
    );
    Ok((release, tree, true))
}

/// `1.0.0 (release r42)`
fn version_of(release: &Release) -> String {
    let version = release.version.as_ref().map(ToString::to_string);
    let number = release.number.map(|number| format!(" (release r{number})"));
    version.unwrap_or_else(|| "without a version".to_owned()) + &number.unwrap_or_default()
}

async fn install_online(
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
    let tree = install_tree(repository, settings, &release).await?;
    Ok((release, tree))
}

/// The release's tree: reused, or fetched and unpacked.
async fn install_tree(
    repository: &Repository,
    settings: &Settings,
    release: &Release,
) -> Result<Tree, Failure> {
    let trees = Trees::open(&settings.dir, readers(settings).is_some())?;
    let wanted = &release.artefact;
    if let Some(tree) = reuse(&trees, wanted, settings, wanted.sha256) {
        return Ok(tree);
    }
    let locked = LockedTrees::wait(&trees, repository.retry.remaining())?;
    // Another instance can have unpacked this tree while it held the lock.
    if let Some(tree) = reuse(&trees, wanted, settings, wanted.sha256) {
        return Ok(tree);
    }
    locked.sweep(wanted.sha256);
    let download = locked.download(wanted.sha256);
    let plan = fetch::Plan {
        rules: Rules {
            limits: settings.limits,
            readers: readers(settings),
        },
        unpack_while_fetching: !unpack::is_plain(&wanted.file) && settings.trust.keys.is_none(),
        path: &download,
        damaged: settings.trust.exit_for(Exit::Refused),
        json: settings.log.json,
    };
    let fetched = fetch::fetch(repository, wanted, &locked, plan).await?;
    let digest = fetched.sha256;
    if wanted.sha256.is_some() {
        tracing::info!(stage = "verify", sha256 = %digest, "verified sha256:{digest}");
    } else if let Some(tree) = reuse(&trees, wanted, settings, Some(digest)) {
        return Ok(tree);
    }
    let (staging, contents) = unpacked(fetched, wanted, plan, &locked)?;
    plan.rules.open_to_readers(staging.path())?;
    contents.log();
    let tree = locked.publish(&staging, &contents.inventory, digest)?;
    // The tree holds its content now.
    match std::fs::remove_file(&download) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::cannot_write(&download, error))
        }
        _ => Ok(tree),
    }
}

/// The content of an artefact, in staging.
fn unpacked(
    mut fetched: Fetched,
    wanted: &Wanted,
    plan: fetch::Plan<'_>,
    locked: &LockedTrees<'_>,
) -> Result<(Staging, Contents), Failure> {
    if let Some(unpacked) = fetched.unpacked {
        return unpacked.finish();
    }
    let staging = locked.stage()?;
    let (file, rules) = (&wanted.file, plan.rules);
    let contents = if unpack::is_plain(file) {
        unpack::place(&fetched.file, plan.path, file, staging.path(), rules)?
    } else {
        // Unpacks the open file that was hashed: another file can bear its name by now.
        unpack::unpack_file(&mut fetched.file, file, staging.path(), rules)?
    };
    Ok((staging, contents))
}

/// The app's group if the tree is root's and the app runs as another user.
fn readers(settings: &Settings) -> Option<Gid> {
    let user = settings.user.as_ref()?;
    geteuid().is_root().then_some(user.gid)
}

fn app_uid(settings: &Settings) -> Uid {
    settings.user.as_ref().map_or_else(geteuid, |user| user.uid)
}

/// Finds a tree that an earlier start unpacked.
fn reuse(
    trees: &Trees,
    wanted: &Wanted,
    settings: &Settings,
    digest: Option<Digest>,
) -> Option<Tree> {
    let digest = digest?;
    let tree = trees.find(&Demands {
        digest,
        file: unpack::is_plain(&wanted.file).then_some(wanted.file.as_str()),
        readers: readers(settings),
        untouched_by: settings.trust.keys.is_some().then(|| app_uid(settings)),
    })?;
    if let Some(locked) = LockedTrees::try_now(trees) {
        locked.sweep(Some(digest));
    }
    tracing::info!(stage = "fetch", bytes = 0, sha256 = %digest, "already unpacked in {}: nothing is downloaded", tree.path.display());
    Some(tree)
}
