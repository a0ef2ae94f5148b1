//! `platformer scale APP=N`: so many replicas. None are lost sight of before they are ready, or after they drain.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use repository_api::{AppName, Reference, ReleaseNumber};

use crate::deploy;
use crate::environment::{self, Environment, Kind};
use crate::plan::Plan;
use crate::repository::Repository;
use crate::running::{self, Colour, Running};
use crate::say::say;
use crate::shell::Line;
use crate::{production, training};

const PACE: Duration = Duration::from_millis(300);

pub(crate) fn run(environment: Environment, what: &str, patience: Duration) -> anyhow::Result<()> {
    let (app, replicas) = what
        .split_once('=')
        .and_then(|(app, number)| Some((app, number.parse::<usize>().ok()?)))
        .with_context(|| {
            format!("{what:?} names no app and number: write platformer scale hello-world=3")
        })?;
    let app = environment::app_name(app)?;
    let _lock = environment.lock(&app)?;
    let live = deploy::running(environment, &app)?;
    match environment.kind {
        Kind::Training => training_to(environment, &app, running::live(&live), replicas, patience)?,
        Kind::Production => {
            production_to(environment, &app, running::live(&live), replicas, patience)?;
        }
    }
    if !environment.shell.dry_run {
        let replica = if replicas == 1 { "replica" } else { "replicas" };
        say(&format!("{app} has {replicas} {replica}"));
    }
    Ok(())
}

/// What is to run of an app: what does, or what its channel names.
pub(crate) fn plan(
    environment: Environment,
    app: &AppName,
    live: Option<&Running>,
) -> anyhow::Result<Plan> {
    let repository = Repository::of(environment)?;
    let release: Option<ReleaseNumber> = match live {
        Some(live) => Some(live.release.parse()?),
        None => repository.channel(app, environment.channel())?,
    };
    let release = release.with_context(|| {
        format!(
            "{app} was never deployed to {}: platformer deploy {app}@VERSION",
            environment.name()
        )
    })?;
    Plan::read(app, &repository.release(app, &Reference::Release(release))?)?.on(environment)
}

fn training_to(
    environment: Environment,
    app: &AppName,
    live: Option<&Running>,
    replicas: usize,
    patience: Duration,
) -> anyhow::Result<()> {
    let now = live.map_or(0, |live| live.wanted);
    if replicas > now {
        let colour = live.map_or(Colour::Blue, |live| live.colour);
        let plan = plan(environment, app, live)?;
        if let Err(not_ready) = training::start(environment, &plan, colour, replicas, patience)? {
            bail!("{} {not_ready}\n{now} replicas run as before", plan.release);
        }
        return Ok(());
    }
    let mut containers = training::containers(environment, Some(app))?;
    containers.retain(|container| container.is_in_front);
    // What has ended, or is of a set that a deploy left behind, goes first.
    containers.sort_by_key(|container| {
        let is_live = live.is_some_and(|live| live.colour == container.colour);
        !(is_live && container.is_running)
    });
    let surplus: Vec<String> = containers
        .into_iter()
        .map(|container| container.name)
        .skip(replicas)
        .collect();
    training::retire(environment, &surplus)
}

fn production_to(
    environment: Environment,
    app: &AppName,
    live: Option<&Running>,
    replicas: usize,
    patience: Duration,
) -> anyhow::Result<()> {
    let Some(live) = live else {
        bail!(
            "{app} does not run in production: platformer deploy {app}@production, or {app}@VERSION"
        );
    };
    let service = production::service_name(environment, app.as_str(), live.colour);
    environment.shell.act(
        &Line::docker(["service", "scale", "--detach"]).and([format!("{service}={replicas}")]),
    )?;
    if environment.shell.dry_run {
        return Ok(());
    }
    let begin = Instant::now();
    loop {
        let tasks = production::tasks(environment, &service)?;
        if tasks.iter().filter(|task| task.is_ready()).count() == replicas {
            // Until the load balancer has noticed, too.
            std::thread::sleep(training::NOTICE);
            return Ok(());
        }
        if begin.elapsed() > patience {
            bail!(
                "{service} has not {replicas} replicas after {} s: docker service ps {service} tells why",
                patience.as_secs()
            );
        }
        std::thread::sleep(PACE);
    }
}
