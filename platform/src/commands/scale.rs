//! `platformer scale APP=N`: changes the number of replicas. New replicas get traffic when they are ready, and old ones
//! drain before they stop.

use std::time::Duration;

use anyhow::Context as _;

use crate::engine;
use crate::environment::{self, Environment};
use crate::replica_set;
use crate::step::{Step, apply_all};

pub(crate) fn run(
    environment: Environment,
    app_and_number: &str,
    timeout: Duration,
) -> anyhow::Result<()> {
    let (app, replicas) = app_and_number
        .split_once('=')
        .and_then(|(app, number)| Some((app, number.parse::<usize>().ok()?)))
        .with_context(|| {
            format!("{app_and_number:?} isn't APP=N: write platformer scale hello-world=3")
        })?;
    let app = environment::app_name(app)?;
    let _lock = environment.lock(&app)?;
    let engine = engine::of(environment);
    let sets = engine.replica_sets(Some(&app))?;
    let live = replica_set::live(&sets);
    let before = live.map_or(0, |live| live.desired);
    let mut steps = engine.scale(&app, live, replicas, timeout)?;
    let replica = if replicas == 1 { "replica" } else { "replicas" };
    steps.push(Step::report(format!("{app} has {replicas} {replica}")));
    apply_all(steps, environment.shell)
        .with_context(|| format!("failed to scale {app} from {before} to {replicas} {replica}"))
}
