//! The variables of `app.yml`, and the overlay for what variables cannot express.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use repository_api::AppName;
use serde_json::json;

use super::volume;
use crate::environment::{self, Environment};
use crate::release_spec::ReleaseSpec;
use crate::shell::CommandLine;

/// Time for the engine to notice that the last process has ended.
const STOP_MARGIN: Duration = Duration::from_secs(2);

/// The variables that `app.yml` requires.
pub(super) fn names(
    environment: Environment,
    app: &str,
    release: &str,
    suffix: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("PLATFORM_NAME", environment.name().to_owned()),
        ("ENVIRONMENT", environment.layer().to_owned()),
        ("APP", app.to_owned()),
        ("REF", release.to_owned()),
        ("RELEASE", release.to_owned()),
        ("COLOUR", suffix.to_owned()),
    ]
}

/// All variables of `app.yml` and its overlays.
pub(super) fn variables(
    environment: Environment,
    spec: &ReleaseSpec,
    suffix: &str,
    replicas: usize,
    timeout: Duration,
) -> Vec<(&'static str, String)> {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs_f64().ceil());
    let release = spec.release.to_string();
    let mut variables = names(environment, spec.app.as_str(), &release, suffix);
    variables.extend([
        ("IMAGE", spec.image.clone()),
        ("REPLICAS", replicas.to_string()),
        ("DRAIN_PERIOD", seconds(spec.drain)),
        ("GRACE_PERIOD", seconds(spec.grace)),
        (
            "STOP_GRACE_PERIOD",
            seconds(spec.drain + spec.grace + STOP_MARGIN),
        ),
        ("START_PERIOD", seconds(timeout)),
    ]);
    if spec.follows_channel {
        let reference = variables.iter_mut().find(|(name, _)| *name == "REF");
        if let Some((_, reference)) = reference {
            environment.channel().clone_into(reference);
        }
        // The old replicas follow the same channel. They must not restart before the deploy has replaced them.
        variables.push(("CHANGE_DEBOUNCE", seconds(timeout + spec.drain)));
    }
    variables
}

/// Adds the stack files of an app to a command, each after `flag`.
pub(super) fn add_files(
    mut line: CommandLine,
    flag: &str,
    environment: Environment,
    engine_file: &str,
    app: &AppName,
    overlay: Option<String>,
) -> anyhow::Result<CommandLine> {
    for file in ["app.yml", engine_file] {
        line = line.arg(flag).arg(environment::file(file)?);
    }
    if let Some(overlay) = overlay {
        let path = environment.directory()?.join(format!("{app}.yml"));
        fs::write(&path, overlay).with_context(|| format!("failed to write {}", path.display()))?;
        line = line.arg(flag).arg(path.display().to_string());
    }
    Ok(line)
}

/// A stack file with the app's volumes and Swarm secrets (the name in the container, and the name in Swarm).
pub(super) fn overlay(
    environment: Environment,
    spec: &ReleaseSpec,
    secrets: &BTreeMap<String, String>,
) -> Option<String> {
    if spec.volumes.is_empty() && secrets.is_empty() {
        return None;
    }
    let mut app = json!({});
    let mut stack = json!({ "version": "3.8" });
    if !spec.volumes.is_empty() {
        let mounts = spec
            .volumes
            .iter()
            .map(|volume| format!("{}:{}", volume.name, volume.path));
        app["volumes"] = mounts.collect();
        let labels = json!({ "platform.environment": environment.name() });
        let volumes: BTreeMap<_, _> = spec
            .volumes
            .iter()
            .map(|volume| {
                let name = volume::name(environment, &spec.app, &volume.name);
                (&volume.name, json!({ "name": name, "labels": labels }))
            })
            .collect();
        stack["volumes"] = json!(volumes);
    }
    if !secrets.is_empty() {
        let files = secrets.keys().map(|name| {
            json!({ "source": name, "target": name, "uid": "10001", "gid": "10001", "mode": 0o400 })
        });
        app["secrets"] = files.collect();
        let sources: BTreeMap<_, _> = secrets
            .iter()
            .map(|(name, stored)| (name, json!({ "external": true, "name": stored })))
            .collect();
        stack["secrets"] = json!(sources);
    }
    stack["services"] = json!({ "app": app });
    Some(format!("{stack:#}\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::environment::Kind;
    use crate::shell::Shell;

    const TRAINING: Environment = Environment {
        kind: Kind::Training,
        shell: Shell {
            dry_run: false,
            verbose: false,
        },
    };

    fn value(config: &str, name: &str) -> String {
        let spec = ReleaseSpec::from_config(config).unwrap();
        let variables = variables(TRAINING, &spec, "blue", 2, Duration::from_secs(30));
        let variable = variables.into_iter().find(|(known, _)| *known == name);
        variable.unwrap().1
    }

    #[test]
    fn the_engine_waits_for_drain_and_grace() {
        let config = "STARTUP_COMMAND=./x\nDRAIN_PERIOD=500ms\nGRACE_PERIOD=20s\n";
        assert_eq!(value(config, "DRAIN_PERIOD"), "1s");
        assert_eq!(value(config, "STOP_GRACE_PERIOD"), "23s");
        assert_eq!(value(config, "REF"), "r7");
        assert_eq!(value(config, "RELEASE"), "r7");
    }

    #[test]
    fn an_app_that_reacts_to_changes_follows_the_channel() {
        let config = "STARTUP_COMMAND=./x\nON_CHANGE=exit\n";
        assert_eq!(value(config, "REF"), "training");
        assert_eq!(value(config, "RELEASE"), "r7");
        assert_eq!(value(config, "CHANGE_DEBOUNCE"), "35s");
    }

    #[test]
    fn volumes_have_the_environment_and_the_app_in_their_names() {
        let config = "STARTUP_COMMAND=./x\nVOLUMES='data:/var/lib/app logs:/logs'\n";
        let spec = ReleaseSpec::from_config(config).unwrap();
        let text = overlay(TRAINING, &spec, &BTreeMap::new()).unwrap();
        let overlay: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(overlay["volumes"]["data"]["name"], "training_bakery_data");
        assert_eq!(overlay["services"]["app"]["volumes"][1], "logs:/logs");
    }
}
