//! `platformer logs APP`: the log of an app's replicas, with that of bootstrap.

use anyhow::{Context as _, bail};

use crate::engine;
use crate::environment::{self, Environment};
use crate::replica_set;

pub(crate) fn run(
    environment: Environment,
    app: &str,
    follow: bool,
    tail: &str,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let engine = engine::of(environment);
    let sets = engine.replica_sets(Some(&app))?;
    let live = replica_set::live(&sets).with_context(|| {
        format!(
            "{app} isn't running in {}: platformer status lists the apps",
            environment.name()
        )
    })?;
    let line = engine.logs(live, follow, tail)?;
    let status = environment.shell.attach(&line)?;
    if !status.success() && !follow {
        bail!("{line} failed ({status})");
    }
    Ok(())
}
