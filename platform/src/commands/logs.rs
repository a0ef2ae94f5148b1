//! `platformer logs APP`: what its replicas say, and what led to their start.

use anyhow::bail;

use super::scale::plan;
use crate::deploy::{self, PATIENCE};
use crate::environment::{self, Environment, Kind};
use crate::running;
use crate::shell::Line;
use crate::{production, training};

pub(crate) fn run(
    environment: Environment,
    app: &str,
    follow: bool,
    tail: &str,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let live = deploy::running(environment, &app)?;
    let Some(running) = running::live(&live) else {
        bail!("nothing runs of {app} in {}", environment.name());
    };
    let mut line = match environment.kind {
        Kind::Training => {
            let plan = plan(environment, &app, Some(running))?;
            training::project(environment, &plan, running.colour.as_str(), PATIENCE)?.and(["logs"])
        }
        Kind::Production => Line::docker(["service", "logs"]),
    };
    if follow {
        line = line.and(["--follow"]);
    }
    line = line.and(["--tail", tail]);
    if environment.kind == Kind::Production {
        line = line.and([production::service_name(
            environment,
            app.as_str(),
            running.colour,
        )]);
    }
    let status = environment.shell.show(&line)?;
    if !status.success() && !follow {
        bail!("{line} failed ({status})");
    }
    Ok(())
}
