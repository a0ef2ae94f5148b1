//! Named volumes of apps.

use repository_api::AppName;

use crate::environment::Environment;
use crate::release_spec::ReleaseSpec;
use crate::shell::{CommandLine, SLOW};
use crate::step::Step;

pub(super) fn name(environment: Environment, app: &AppName, volume: &str) -> String {
    format!("{}_{app}_{volume}", environment.name())
}

/// Steps that create the volumes of a release that do not exist.
pub(super) fn create_all(
    environment: Environment,
    spec: &ReleaseSpec,
) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for volume in &spec.volumes {
        steps.extend(create(
            environment,
            &name(environment, &spec.app, &volume.name),
        )?);
    }
    Ok(steps)
}

pub(super) fn exists(name: &str) -> anyhow::Result<bool> {
    let inspect = CommandLine::docker(["volume", "inspect", name]);
    Ok(inspect.probe()?.is_success())
}

/// Steps that create a volume unless it exists. The app's user owns it, wherever a container mounts it.
pub(super) fn create(environment: Environment, name: &str) -> anyhow::Result<Vec<Step>> {
    if exists(name)? {
        return Ok(Vec::new());
    }
    let create = CommandLine::docker(["volume", "create"])
        .args(environment.label())
        .arg(name);
    let chown = CommandLine::docker(["run", "--rm", "--user", "0", "--network", "none"])
        .args(["--volume", &format!("{name}:/volume")])
        .arg(environment.image("platformer/toolbox")?)
        .args(["chown", "10001:10001", "/volume"])
        .timeout(SLOW);
    Ok(vec![
        Step::command(environment.shell, create),
        Step::command(environment.shell, chown),
    ])
}
