//! `platformer down [training|production]`: removes all containers and networks, and keeps volumes and secrets.

use anyhow::ensure;

use crate::engine::{self, Engine};
use crate::environment::Environment;
use crate::step::{Step, apply_all};

pub(crate) fn run(environment: Environment) -> anyhow::Result<()> {
    let engine = engine::of(environment);
    let mut steps = steps(environment, engine.as_ref())?;
    steps.push(Step::report(format!(
        "{} is down; its volumes and secrets stay. Next: platformer up {kind}, then platformer deploy APP@{kind} for each app; or platformer clean {kind} to delete everything",
        environment.name(),
        kind = environment.kind.name()
    )));
    apply_all(steps, environment.shell)
}

pub(super) fn steps(environment: Environment, engine: &dyn Engine) -> anyhow::Result<Vec<Step>> {
    let foreign = environment.foreign_containers()?;
    ensure!(
        foreign.is_empty(),
        "the networks of {} cannot be removed because other containers use them: {}. Remove these with docker rm -f or docker service rm, then retry",
        environment.name(),
        foreign.join(", ")
    );
    engine.down()
}
