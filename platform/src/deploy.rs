//! `platformer deploy APP@REF`: a release, and then what runs is that release.
//!
//! 1. the reference becomes a release, by way of a channel of its own: what is being tried is not what is to run
//! 2. `RELEASE_COMMAND`, once, in the release's environment
//! 3. a new set beside the old one, until it is ready: `training` by Compose, `production` by Swarm
//! 4. the load balancer sees the new set, and then no longer the old one, which drains and ends
//! 5. the environment's channel is moved: it has the history of what was live
//!
//! What fails on the way leaves what ran.

mod blue_green;
mod readiness;
mod swarm;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use repository_api::release::Statement;
use repository_api::{AppName, AppReference, Reference, ReleaseNumber};

use crate::commands::status;
use crate::environment::{self, Environment, Kind};
use crate::plan::Plan;
use crate::repository::Repository;
use crate::running::{self, Running};
use crate::say::say;
use crate::{one_off, production, training};
pub(crate) use blue_green::prove;
pub(crate) use readiness::NotReady;

/// How long a replica may take until it is ready, where nobody says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// One replica after another.
    Rolling,
    /// The whole new set, and then the old one goes.
    BlueGreen,
}

impl std::str::FromStr for Strategy {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "rolling" => Ok(Self::Rolling),
            "blue-green" => Ok(Self::BlueGreen),
            _ => bail!("there is no strategy {text:?}: it is rolling or blue-green"),
        }
    }
}

/// What ran before, for messages.
struct Before<'a>(&'a [Running]);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing ran before"),
            sets => match running::live(sets) {
                Some(live) if live.wanted > 0 => write!(f, "{} still serving", live.release),
                _ => f.write_str("nothing ran before"),
            },
        }
    }
}

pub(crate) fn run(
    environment: Environment,
    reference: &AppReference,
    strategy: Option<Strategy>,
    patience: Duration,
    again: bool,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let app = environment::app_name(reference.app.as_str())?;
    if (environment.kind, strategy) == (Kind::Training, Some(Strategy::Rolling)) {
        bail!("Compose has no rolling update: training deploys blue-green, leave --strategy out");
    }
    let _lock = environment.lock(&app)?;
    let repository = Repository::of(environment)?;
    let release = candidate(&repository, environment, &app, &reference.resolved())?;
    let document = repository.release(&app, &Reference::Release(release))?;
    let plan = Plan::read(&app, &document)?.on(environment)?;
    let before = running(environment, &app)?;
    let is_all_of_it = |running: &Running| {
        running.release == release.to_string()
            && running.ready == running.wanted
            && running.wanted > 0
    };
    let becomes_a_new_one = environment.shell.dry_run
        && !matches!(
            reference.resolved(),
            Reference::Release(_) | Reference::Channel(_)
        );
    if becomes_a_new_one {
        say(&format!(
            "# a release like {release}, unless version and config are what it has"
        ));
    } else if !again && !before.is_empty() && before.iter().all(is_all_of_it) {
        say(&format!(
            "{app} runs {release} already; --again starts it anew, with secrets that were set since"
        ));
        return settle(&repository, environment, &plan);
    }
    say(&format!(
        "{app} {} is {release}, on {}",
        plan.version, plan.image
    ));
    for volume in plan.volumes(environment) {
        environment.volume(&volume)?;
    }
    if let Some(command) = &plan.release_command {
        release_command(environment, &plan, command)
            .with_context(|| format!("{release} is not deployed, {}", Before(&before)))?;
    }
    let strategy = strategy.unwrap_or(Strategy::Rolling);
    bring_up(
        &repository,
        environment,
        &plan,
        &before,
        |plan| match environment.kind {
            Kind::Training => blue_green::bring_up(environment, plan, &before, patience),
            Kind::Production => swarm::bring_up(environment, plan, &before, strategy, patience),
        },
    )?;
    // From here on this is what is live, also if the old set's drain is interrupted.
    settle(&repository, environment, &plan)?;
    match environment.kind {
        Kind::Training => blue_green::retire(environment, &plan.app, &before),
        Kind::Production => swarm::retire(environment, &plan, &before, strategy),
    }
    .with_context(|| {
        format!("{app} runs {release}, and what it replaces could not be taken away: the next deploy does it")
    })?;
    if !environment.shell.dry_run {
        say(&format!(
            "{app} runs {release}, {:.1} s after the beginning: http://{app}.localhost:{}/",
            begin.elapsed().as_secs_f64(),
            status::port(environment)?
        ));
    }
    Ok(())
}

/// Brings a release up beside what runs; the error tells why it is not ready.
fn bring_up(
    repository: &Repository,
    environment: Environment,
    plan: &Plan,
    before: &[Running],
    engine: impl FnOnce(&Plan) -> anyhow::Result<Result<(), NotReady>>,
) -> anyhow::Result<()> {
    let previous = repository.channel(&plan.app, environment.channel())?;
    if plan.follows {
        // It asks for what its channel names, so that must be the new release by then.
        settle(repository, environment, plan)?;
    }
    let outcome = engine(plan);
    if !matches!(outcome, Ok(Ok(())))
        && let (true, Some(previous)) = (plan.follows, previous)
    {
        repository.point(&plan.app, environment.channel(), &previous.to_string())?;
    }
    match outcome? {
        Ok(()) => Ok(()),
        Err(not_ready) => bail!("{} {not_ready}\n{}", plan.release, Before(before)),
    }
}

/// What the load balancer sees of an app.
pub(crate) fn running(environment: Environment, app: &AppName) -> anyhow::Result<Vec<Running>> {
    match environment.kind {
        Kind::Training => training::running(environment, Some(app)),
        Kind::Production => production::running(environment, Some(app)),
    }
}

/// The release that a reference means; a version becomes one.
fn candidate(
    repository: &Repository,
    environment: Environment,
    app: &AppName,
    reference: &Reference,
) -> anyhow::Result<ReleaseNumber> {
    let version = match reference {
        Reference::Release(release) => return Ok(*release),
        Reference::Channel(channel) => {
            return repository.channel(app, channel.as_str())?.with_context(|| {
                format!(
                    "{app} has no channel {channel}: platformer releases {app} lists what there is"
                )
            });
        }
        Reference::Version(version) => version.clone(),
        Reference::Latest => {
            let document = repository.release(app, reference)?;
            Statement::from_text(&document.statement)
                .context("the repository's release document is not readable")?
                .version
        }
    };
    let made = repository
        .point(app, &environment.candidate_channel(), version.as_str())
        .with_context(|| {
            format!("there is no release of {app} {version} to be made (platformer publish {app} PATH {version}?)")
        })?;
    match made {
        Some(release) => Ok(release),
        // In a dry run none was made; the newest shows how it would go on.
        None => newest(repository, app)?.with_context(|| {
            format!("{app} has no release yet, so a dry run cannot tell what comes behind this")
        }),
    }
}

fn newest(repository: &Repository, app: &AppName) -> anyhow::Result<Option<ReleaseNumber>> {
    Ok(repository
        .releases(app)?
        .first()
        .and_then(|release| release.number.parse().ok()))
}

fn release_command(environment: Environment, plan: &Plan, command: &str) -> anyhow::Result<()> {
    say(&format!("RELEASE_COMMAND: {command}"));
    let code = one_off::release_command(environment, plan, command)?;
    if code != 0 {
        bail!("RELEASE_COMMAND ended with {code}");
    }
    Ok(())
}

/// Moves the environment's channel, if it is elsewhere.
fn settle(repository: &Repository, environment: Environment, plan: &Plan) -> anyhow::Result<()> {
    let channel = environment.channel();
    if repository.channel(&plan.app, channel)? != Some(plan.release) {
        repository.point(&plan.app, channel, &plan.release.to_string())?;
    }
    Ok(())
}
