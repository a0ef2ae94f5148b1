//! `platformer clean [training|production] --yes`: deletes an environment with all of its data.

use std::fs;

use anyhow::ensure;

use super::down;
use crate::engine;
use crate::environment::Environment;
use crate::shell::CommandLine;
use crate::step::{Step, apply_all};

pub(crate) fn run(environment: Environment, is_confirmed: bool) -> anyhow::Result<()> {
    let shell = environment.shell;
    let (name, kind) = (environment.name(), environment.kind.name());
    ensure!(
        is_confirmed || shell.dry_run,
        "clean deletes all data of {name}: artefacts on this machine's disk, volumes and secrets of apps, domains and certificates. Run platformer clean {kind} --yes, or --dry-run to see the commands"
    );
    let engine = engine::of(environment);
    let mut steps = down::steps(environment, engine.as_ref())?;
    let volumes = CommandLine::docker(["volume", "ls", "--quiet"]);
    let volumes = environment.filter(volumes).read()?;
    if !volumes.is_empty() {
        let remove = CommandLine::docker(["volume", "rm", "--force"]).args(volumes.lines());
        steps.push(Step::command(shell, remove));
    }
    steps.extend(engine.delete_secrets()?);
    let directory = environment.directory()?;
    steps.push(Step::new(
        format!("rm -r {}", directory.display()),
        move || {
            fs::remove_dir_all(directory)?;
            Ok(())
        },
    ));
    steps.push(Step::report(format!(
        "{name} is deleted; its images stay until docker image prune or docker rmi"
    )));
    apply_all(steps, shell)
}
