//! Compose: training, on one machine. Each set of replicas is a Compose project.
//!
//! A replica joins the front network, where the load balancer finds it, when it is ready.

mod containers;
mod health;
mod rollout;
mod secrets;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, bail};
use repository_api::AppName;

use super::contract::{Engine, IdleContainer, OneOff, Rollout, Strategy};
use super::{stack_file, volume};
use crate::environment::{self, Environment};
use crate::release_spec::ReleaseSpec;
use crate::replica_set::ReplicaSet;
use crate::shell::{CommandLine, SLOW, STOP};
use crate::step::Step;

#[derive(Debug)]
pub(super) struct Compose {
    environment: Environment,
}

impl Compose {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// `docker-compose` on the stack files of the platform.
    fn platform(&self) -> anyhow::Result<CommandLine> {
        let name = self.environment.name();
        Ok(compose()
            .env("PLATFORM_NAME", name)
            .args(["-p", name])
            .args(["-f".to_owned(), environment::file("platform.yml")?])
            .args(["-f".to_owned(), environment::file("training.yml")?]))
    }
}

/// `docker compose` where the plugin is installed, or `docker-compose`.
fn compose() -> CommandLine {
    if is_plugin() {
        CommandLine::docker(["compose"])
    } else {
        CommandLine::new(["docker-compose"])
    }
}

fn is_plugin() -> bool {
    static IS_PLUGIN: OnceLock<bool> = OnceLock::new();
    *IS_PLUGIN.get_or_init(|| {
        let version = CommandLine::docker(["compose", "version"]).probe();
        version.is_ok_and(|outcome| outcome.is_success())
    })
}

/// The Compose project of a set of replicas, or of a one-off command.
fn project_name(environment: Environment, app: &str, suffix: &str) -> String {
    format!("{}-{app}-{suffix}", environment.name())
}

/// `docker-compose` on the stack files of an app.
fn project(
    environment: Environment,
    spec: &ReleaseSpec,
    suffix: &str,
    timeout: Duration,
) -> anyhow::Result<CommandLine> {
    let line = compose()
        .envs(&stack_file::variables(
            environment,
            spec,
            suffix,
            1,
            timeout,
        ))
        .arg("-p")
        .arg(project_name(environment, spec.app.as_str(), suffix));
    let overlay = stack_file::overlay(environment, spec, &BTreeMap::new());
    stack_file::add_files(
        line,
        "-f",
        environment,
        "app.training.yml",
        &spec.app,
        overlay,
    )
}

impl Engine for Compose {
    fn up(&self) -> anyhow::Result<Vec<Step>> {
        let up = self.platform()?.args(["up", "-d"]).timeout(SLOW);
        Ok(vec![Step::command(self.environment.shell, up)])
    }

    fn down(&self) -> anyhow::Result<Vec<Step>> {
        // Includes containers of `platformer run`, because they are on the networks, too.
        let list = CommandLine::docker(["ps", "--all", "--format", "{{.Names}}"]);
        let names = self.environment.filter_part(list, "app").read()?;
        let names = names.lines().map(str::to_owned).collect();
        let mut steps = rollout::remove(self.environment, names);
        let down = self.platform()?.arg("down").timeout(STOP);
        steps.push(Step::command(self.environment.shell, down));
        Ok(steps)
    }

    fn load_balancers(&self) -> anyhow::Result<usize> {
        Ok(1)
    }

    fn strategy(&self, strategy: Option<Strategy>) -> anyhow::Result<Strategy> {
        if strategy == Some(Strategy::Rolling) {
            bail!(
                "Compose cannot do rolling updates: training deploys blue-green, so omit --strategy"
            );
        }
        Ok(Strategy::BlueGreen)
    }

    fn replica_sets(&self, app: Option<&AppName>) -> anyhow::Result<Vec<ReplicaSet>> {
        containers::replica_sets(self.environment, app)
    }

    fn idle_containers(&self) -> anyhow::Result<Vec<IdleContainer>> {
        let containers = containers::list(self.environment, None)?.into_iter();
        Ok(containers
            .filter(|container| !container.has_traffic)
            .map(|container| IdleContainer {
                name: container.name,
                app: container.app,
                release: container.release,
            })
            .collect())
    }

    fn prepare(&self, spec: &ReleaseSpec) -> anyhow::Result<Vec<Step>> {
        volume::create_all(self.environment, spec)
    }

    fn start(&self, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
        rollout::start(self.environment, rollout)
    }

    fn retire(&self, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
        rollout::retire(self.environment, rollout)
    }

    fn scale(
        &self,
        app: &AppName,
        live: Option<&ReplicaSet>,
        replicas: usize,
        timeout: Duration,
    ) -> anyhow::Result<Vec<Step>> {
        rollout::scale(self.environment, app, live, replicas, timeout)
    }

    fn run_once(
        &self,
        spec: &ReleaseSpec,
        command: OneOff,
        on_terminal: bool,
    ) -> anyhow::Result<Step<i32>> {
        let mut line =
            project(self.environment, spec, "run", Duration::ZERO)?.args(["run", "--rm"]);
        if !on_terminal {
            line = line.arg("-T");
        }
        for variable in command.variables() {
            line = line.args(["-e", &variable]);
        }
        let line = line.arg("app").args(command.arguments(spec));
        let shell = self.environment.shell;
        Ok(Step::new(line.to_string(), move || {
            let status = shell.attach(&line)?;
            status.code().context("a signal ended the command")
        }))
    }

    fn logs(&self, live: &ReplicaSet, follow: bool, tail: &str) -> anyhow::Result<CommandLine> {
        let app: AppName = live.app.parse()?;
        let suffix = live.colour.as_str();
        let variables = stack_file::names(self.environment, &live.app, &live.release, suffix);
        let line = compose().envs(&variables).arg("-p").arg(project_name(
            self.environment,
            &live.app,
            suffix,
        ));
        let file = "app.training.yml";
        let line = stack_file::add_files(line, "-f", self.environment, file, &app, None)?;
        let line = line.arg("logs").args(follow.then_some("--follow"));
        Ok(line.args(["--tail", tail]))
    }

    fn secret_names(&self, app: &AppName) -> anyhow::Result<Vec<String>> {
        secrets::names(self.environment, app)
    }

    fn set_secret(&self, app: &AppName, name: &str, value: Vec<u8>) -> anyhow::Result<Vec<Step>> {
        secrets::set(self.environment, app, name, value)
    }

    fn remove_secret(&self, app: &AppName, name: &str) -> anyhow::Result<Vec<Step>> {
        secrets::remove(self.environment, app, name)
    }

    fn delete_secrets(&self) -> anyhow::Result<Vec<Step>> {
        Ok(Vec::new())
    }
}
