//! Production: Swarm. Each colour of an app is a stack of its own, with one service.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};
use repository_api::AppName;
use serde::Deserialize;

use crate::environment::{self, Environment};
use crate::plan::Plan;
use crate::running::{Colour, Running};
use crate::shell::Line;

/// A task of a service, as `docker inspect` tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Task {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    spec: TaskSpec,
    status: Status,
    desired_state: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskSpec {
    container_spec: ContainerSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerSpec {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    #[serde(default)]
    err: String,
    #[serde(rename = "ContainerStatus", default)]
    container: ContainerStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ContainerStatus {
    #[serde(rename = "ContainerID", default)]
    id: String,
    #[serde(rename = "ExitCode", default)]
    exit_code: i32,
}

impl Task {
    pub(crate) fn release(&self) -> &str {
        let labels = &self.spec.container_spec.labels;
        labels.get("platform.release").map_or("", String::as_str)
    }

    /// Healthy, and to stay.
    pub(crate) fn is_ready(&self) -> bool {
        self.status.state == "running" && self.is_wanted()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.desired_state == "running"
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(
            self.status.state.as_str(),
            "failed" | "rejected" | "orphaned"
        )
    }

    /// The exit code of a job that has ended.
    pub(crate) fn end(&self) -> Option<i32> {
        match self.status.state.as_str() {
            "complete" => Some(0),
            "failed" | "rejected" | "orphaned" => Some(self.exit_code().max(1)),
            _ => None,
        }
    }

    pub(crate) fn exit_code(&self) -> i32 {
        self.status.container.exit_code
    }

    pub(crate) fn container(&self) -> &str {
        &self.status.container.id
    }

    /// What the engine says is wrong.
    pub(crate) fn error(&self) -> &str {
        &self.status.err
    }
}

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

pub(crate) fn stack_name(environment: Environment, app: &str, colour: Colour) -> String {
    format!("{}-{app}-{colour}", environment.name())
}

pub(crate) fn service_name(environment: Environment, app: &str, colour: Colour) -> String {
    format!("{}_app", stack_name(environment, app, colour))
}

/// `docker stack deploy` of an app.
pub(crate) fn stack(
    environment: Environment,
    plan: &Plan,
    colour: Colour,
    replicas: usize,
    patience: Duration,
) -> anyhow::Result<Line> {
    let mut line = Line::docker(["stack", "deploy", "--resolve-image", "never"])
        .variables(&plan.variables(environment, colour.as_str(), replicas, patience));
    for file in ["app.yml", "app.production.yml"] {
        line = line.and(["-c".to_owned(), environment::file(file)?]);
    }
    if let Some(overlay) = plan.overlay(environment, &secrets(environment, &plan.app)?) {
        let path = environment.directory()?.join(format!("{}.yml", plan.app));
        fs::write(&path, overlay).with_context(|| format!("failed to write {}", path.display()))?;
        line = line.and(["-c".to_owned(), path.display().to_string()]);
    }
    Ok(line.and([stack_name(environment, plan.app.as_str(), colour)]))
}

/// The tasks of a service, those that have ended included.
pub(crate) fn tasks(environment: Environment, service: &str) -> anyhow::Result<Vec<Task>> {
    let shell = environment.shell;
    let ids = shell.try_ask(&Line::docker([
        "service",
        "ps",
        "--quiet",
        "--no-trunc",
        service,
    ]))?;
    let Ok(ids) = ids else {
        return Ok(Vec::new());
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // A task may go between the two commands; then the next look tells.
    let line = Line::docker(["inspect", "--type", "task"]).and(ids.lines());
    match shell.try_ask(&line)? {
        Ok(json) => serde_json::from_str(&json).context("docker inspect of tasks is not readable"),
        Err(_) => Ok(Vec::new()),
    }
}

fn services(environment: Environment, app: Option<&AppName>) -> anyhow::Result<Vec<Service>> {
    let shell = environment.shell;
    let mut line = Line::docker(["service", "ls", "--quiet"]).and(environment.filters("app"));
    if let Some(app) = app {
        line = line.and(["--filter".to_owned(), format!("label=platform.app={app}")]);
    }
    let ids = shell.ask(&line)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let json = shell.ask(&Line::docker(["service", "inspect"]).and(ids.lines()))?;
    serde_json::from_str(&json).context("docker service inspect is not readable")
}

/// Each app that has a service.
pub(crate) fn running(
    environment: Environment,
    app: Option<&AppName>,
) -> anyhow::Result<Vec<Running>> {
    let mut found = Vec::new();
    for Service { spec } in services(environment, app)? {
        let label = |name: &str| spec.labels.get(name).cloned().unwrap_or_default();
        let Ok(colour) = label("platform.colour").parse() else {
            continue;
        };
        let tasks = tasks(environment, &spec.name)?;
        let newest_failure = tasks
            .iter()
            .find(|task| task.has_failed() && task.release() == label("platform.release"));
        let ready = tasks.iter().filter(|task| task.is_ready()).count();
        let wanted = spec.mode.replicated.map_or(0, |mode| mode.replicas);
        found.push(Running {
            app: label("platform.app"),
            release: label("platform.release"),
            colour,
            ready,
            wanted,
            trouble: newest_failure
                .filter(|_| ready < wanted)
                .map(|task| task.error().to_owned()),
        });
    }
    found.sort_by(|left, right| left.app.cmp(&right.app));
    Ok(found)
}

/// Names of an app's secrets and of Swarm's newest secret for each.
pub(crate) fn secrets(
    environment: Environment,
    app: &AppName,
) -> anyhow::Result<BTreeMap<String, String>> {
    const FORMAT: &str = "{{.Name}}";
    let line = Line::docker(["secret", "ls", "--format", FORMAT])
        .and(environment.filters("secret"))
        .and(["--filter".to_owned(), format!("label=platform.app={app}")]);
    let prefix = format!("{}_{app}_", environment.name());
    let mut newest: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for stored in environment.shell.ask(&line)?.lines() {
        let numbered = stored
            .strip_prefix(&prefix)
            .and_then(|rest| rest.rsplit_once('.'))
            .and_then(|(name, number)| Some((name, number.parse().ok()?)));
        if let Some((name, number)) = numbered
            && newest.get(name).is_none_or(|(known, _)| number > *known)
        {
            newest.insert(name.to_owned(), (number, stored.to_owned()));
        }
    }
    Ok(newest
        .into_iter()
        .map(|(name, (_, stored))| (name, stored))
        .collect())
}

pub(crate) fn token_name(environment: Environment, app: &AppName) -> String {
    format!("{}_{app}_repository-token", environment.name())
}

/// Makes the token by which an app's containers read what is theirs, and nothing else.
pub(crate) fn token(environment: Environment, app: &AppName) -> anyhow::Result<()> {
    let shell = environment.shell;
    let secret = token_name(environment, app);
    if shell
        .try_ask(&Line::docker(["secret", "inspect", &secret]))?
        .is_ok()
    {
        return Ok(());
    }
    let repository = environment.container("repository")?;
    let name = format!("{}-{app}", environment.name());
    let command = |words: &[&str]| {
        Line::docker(["exec", &repository, "/usr/local/bin/repository", "token"])
            .and(words.iter().copied())
    };
    let create = command(&["create", &name, &format!("read:{app}")]);
    let made = if let Ok(made) = shell.act(&create) {
        made
    } else {
        // Its secret was lost: nobody can have it any more.
        shell.act(&command(&["revoke", &name]))?;
        shell.act(&create)?
    };
    let Some(made) = made.or_else(|| shell.dry_run.then(String::new)) else {
        bail!("the repository made no token");
    };
    let token = made
        .split_whitespace()
        .last()
        .unwrap_or_default()
        .to_owned();
    shell.act(
        &Line::docker(["secret", "create"])
            .and([
                "--label",
                &format!("platform.environment={}", environment.name()),
            ])
            .and(["--label", "platform.part=token"])
            .and(["--label", &format!("platform.app={app}")])
            .and([secret.as_str(), "-"])
            .secret(token),
    )?;
    Ok(())
}
