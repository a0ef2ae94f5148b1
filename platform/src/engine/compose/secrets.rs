//! Secrets in training: files on a volume that only the app's user can read.

use repository_api::AppName;

use crate::engine::volume;
use crate::environment::Environment;
use crate::shell::{CommandLine, SLOW};
use crate::step::Step;

/// Writes a value beside the old one, and then replaces the old one at once.
const WRITE: &str = "cat > \"/secrets/.$1\" && chown 10001:10001 \"/secrets/.$1\" && chmod 0400 \"/secrets/.$1\" && mv \"/secrets/.$1\" \"/secrets/$1\"";

pub(super) fn names(environment: Environment, app: &AppName) -> anyhow::Result<Vec<String>> {
    // A `docker run` with a volume that does not exist would create the volume.
    if !volume::exists(&volume_name(environment, app))? {
        return Ok(Vec::new());
    }
    let list = on_volume(environment, app)?.args(["ls", "-1", "/secrets"]);
    Ok(list.read()?.lines().map(str::to_owned).collect())
}

pub(super) fn set(
    environment: Environment,
    app: &AppName,
    name: &str,
    value: Vec<u8>,
) -> anyhow::Result<Vec<Step>> {
    let mut steps = volume::create(environment, &volume_name(environment, app))?;
    let write = on_volume(environment, app)?
        .args(["sh", "-c", WRITE, "sh", name])
        .stdin_secret(value);
    steps.push(Step::command(environment.shell, write));
    Ok(steps)
}

pub(super) fn remove(
    environment: Environment,
    app: &AppName,
    name: &str,
) -> anyhow::Result<Vec<Step>> {
    let remove = on_volume(environment, app)?.args(["rm", &format!("/secrets/{name}")]);
    Ok(vec![Step::command(environment.shell, remove)])
}

fn volume_name(environment: Environment, app: &AppName) -> String {
    volume::name(environment, app, "secrets")
}

/// A container with the volume of the app's secrets; its command follows.
fn on_volume(environment: Environment, app: &AppName) -> anyhow::Result<CommandLine> {
    let mount = format!("{}:/secrets", volume_name(environment, app));
    let run = CommandLine::docker(["run", "--rm", "-i", "--user", "0", "--network", "none"]);
    Ok(run
        .args(["--volume", &mount])
        .arg(environment.image("platformer/toolbox")?)
        .timeout(SLOW))
}
