//! `platformer clean [training|production] --yes`: an environment for good, with everything it keeps.

use std::fs;

use anyhow::ensure;

use super::down;
use crate::environment::{Environment, Kind};
use crate::say::say;
use crate::shell::Line;

pub(crate) fn run(environment: Environment, sure: bool) -> anyhow::Result<()> {
    let shell = environment.shell;
    let (name, kind) = (environment.name(), environment.kind.name());
    ensure!(
        sure || shell.dry_run,
        "clean deletes what {name} keeps for good: artefacts on this machine's disk, volumes and secrets of apps, domains and certificates; platformer clean {kind} --yes does it, --dry-run shows it"
    );
    down::run(environment)?;
    let filter = format!("label=platform.environment={name}");
    let volumes = shell.ask(&Line::docker([
        "volume", "ls", "--quiet", "--filter", &filter,
    ]))?;
    if !volumes.is_empty() {
        shell.act(&Line::docker(["volume", "rm", "--force"]).and(volumes.lines()))?;
    }
    if environment.kind == Kind::Production {
        let secrets = shell.ask(&Line::docker([
            "secret", "ls", "--quiet", "--filter", &filter,
        ]))?;
        if !secrets.is_empty() {
            shell.act(&Line::docker(["secret", "rm"]).and(secrets.lines()))?;
        }
    }
    if !shell.dry_run {
        fs::remove_dir_all(environment.directory()?)?;
        say(&format!(
            "nothing is left of {name}; images stay: docker image prune, docker rmi"
        ));
    }
    Ok(())
}
