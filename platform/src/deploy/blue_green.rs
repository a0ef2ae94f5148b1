//! Training's way: the other colour, and then the load balancer's sight goes from one to the other.

use std::time::Duration;

use super::readiness::{self, NotReady};
use repository_api::AppName;

use crate::environment::Environment;
use crate::plan::Plan;
use crate::running::{self, Colour, Running};
use crate::say::say;
use crate::training;

pub(super) fn bring_up(
    environment: Environment,
    plan: &Plan,
    before: &[Running],
    patience: Duration,
) -> anyhow::Result<Result<(), NotReady>> {
    let live = running::live(before);
    let colour = live.map_or(Colour::Blue, |live| live.colour.other());
    let replicas = live.map_or(1, |live| live.wanted.max(1));
    // What an earlier deploy left when it was interrupted: what is of this colour, was not shown, or has ended.
    let (left, old): (Vec<_>, Vec<_>) = training::containers(environment, Some(&plan.app))?
        .into_iter()
        .partition(|container| {
            container.colour == colour || !container.is_in_front || !container.is_running
        });
    training::remove(environment, &names(&left))?;
    let outcome = training::start(environment, plan, colour, replicas, patience)?;
    if outcome.is_ok() && !environment.shell.dry_run && !old.is_empty() {
        say("ready; the old set drains");
    }
    Ok(outcome)
}

/// Takes away what ran before.
pub(super) fn retire(
    environment: Environment,
    app: &AppName,
    before: &[Running],
) -> anyhow::Result<()> {
    let Some(live) = running::live(before) else {
        return Ok(());
    };
    let old: Vec<_> = training::containers(environment, Some(app))?
        .into_iter()
        .filter(|container| container.colour == live.colour)
        .collect();
    training::retire(environment, &names(&old))
}

fn names(containers: &[training::Container]) -> Vec<String> {
    containers
        .iter()
        .map(|container| container.name.clone())
        .collect()
}

/// Waits for containers, and takes them away again if they do not get ready.
pub(crate) fn prove(
    environment: Environment,
    containers: &[String],
    patience: Duration,
) -> anyhow::Result<Result<(), NotReady>> {
    let outcome = readiness::wait(environment, containers, patience)?;
    if outcome.is_err() {
        training::remove(environment, containers)?;
    }
    Ok(outcome)
}
