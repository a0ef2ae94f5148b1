//! The services of apps, as `docker service inspect` prints them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use repository_api::AppName;
use serde::Deserialize;

use super::tasks;
use crate::environment::Environment;
use crate::replica_set::ReplicaSet;
use crate::shell::CommandLine;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    spec: ServiceSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceSpec {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    mode: Mode,
}

#[derive(Debug, Deserialize)]
struct Mode {
    #[serde(rename = "Replicated")]
    replicated: Option<Replicated>,
}

#[derive(Debug, Deserialize)]
struct Replicated {
    #[serde(rename = "Replicas")]
    replicas: usize,
}

fn list(environment: Environment, app: Option<&AppName>) -> anyhow::Result<Vec<Service>> {
    let line = CommandLine::docker(["service", "ls", "--quiet"]);
    let mut line = environment.filter_part(line, "app");
    if let Some(app) = app {
        line = line.filter_label("platform.app", app);
    }
    let ids = line.read()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let json = CommandLine::docker(["service", "inspect"])
        .args(ids.lines())
        .read()?;
    serde_json::from_str(&json).context("failed to read docker service inspect")
}

pub(super) fn replica_sets(
    environment: Environment,
    app: Option<&AppName>,
) -> anyhow::Result<Vec<ReplicaSet>> {
    let mut sets = Vec::new();
    for Service { spec } in list(environment, app)? {
        let label = |name: &str| spec.labels.get(name).cloned().unwrap_or_default();
        let Ok(colour) = label("platform.colour").parse() else {
            continue;
        };
        let release = label("platform.release");
        let tasks = tasks::list(&spec.name)?;
        let ready = tasks.iter().filter(|task| task.is_ready()).count();
        let desired = spec.mode.replicated.map_or(0, |mode| mode.replicas);
        let newest_failure = tasks
            .iter()
            .find(|task| task.has_failed() && task.release() == release);
        sets.push(ReplicaSet {
            app: label("platform.app"),
            release,
            colour,
            ready,
            desired,
            problem: newest_failure
                .filter(|_| ready < desired)
                .map(|task| task.error().to_owned()),
        });
    }
    sets.sort_by(|left, right| left.app.cmp(&right.app));
    Ok(sets)
}
