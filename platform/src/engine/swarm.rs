//! Swarm: production. Each set of replicas is a stack with one service.

mod health;
mod job;
mod platform;
mod rollout;
mod secrets;
mod services;
mod tasks;
mod token;

use std::time::Duration;

use anyhow::bail;
use repository_api::AppName;

use super::contract::{Engine, IdleContainer, OneOff, Rollout, Strategy};
use super::volume;
use crate::environment::Environment;
use crate::release_spec::ReleaseSpec;
use crate::replica_set::{Colour, ReplicaSet};
use crate::shell::CommandLine;
use crate::step::Step;

#[derive(Debug)]
pub(super) struct Swarm {
    environment: Environment,
}

impl Swarm {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment }
    }
}

fn stack_name(environment: Environment, app: &str, colour: Colour) -> String {
    format!("{}-{app}-{colour}", environment.name())
}

fn service_name(environment: Environment, app: &str, colour: Colour) -> String {
    format!("{}_app", stack_name(environment, app, colour))
}

impl Engine for Swarm {
    fn up(&self) -> anyhow::Result<Vec<Step>> {
        platform::up(self.environment)
    }

    fn down(&self) -> anyhow::Result<Vec<Step>> {
        platform::down(self.environment)
    }

    fn load_balancers(&self) -> anyhow::Result<usize> {
        let line = CommandLine::docker(["service", "ps", "--quiet"])
            .args(["--filter", "desired-state=running"])
            .arg(format!("{}_loadbalancer", self.environment.name()));
        Ok(line.read()?.lines().count())
    }

    fn strategy(&self, strategy: Option<Strategy>) -> anyhow::Result<Strategy> {
        Ok(strategy.unwrap_or(Strategy::Rolling))
    }

    fn replica_sets(&self, app: Option<&AppName>) -> anyhow::Result<Vec<ReplicaSet>> {
        services::replica_sets(self.environment, app)
    }

    /// Returns none, because a task of Swarm gets traffic as soon as it is healthy.
    fn idle_containers(&self) -> anyhow::Result<Vec<IdleContainer>> {
        Ok(Vec::new())
    }

    fn prepare(&self, spec: &ReleaseSpec) -> anyhow::Result<Vec<Step>> {
        let mut steps = token::create(self.environment, &spec.app)?;
        steps.extend(volume::create_all(self.environment, spec)?);
        Ok(steps)
    }

    fn start(&self, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
        rollout::start(self.environment, rollout)
    }

    fn retire(&self, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
        Ok(rollout::retire(self.environment, rollout))
    }

    fn scale(
        &self,
        app: &AppName,
        live: Option<&ReplicaSet>,
        replicas: usize,
        timeout: Duration,
    ) -> anyhow::Result<Vec<Step>> {
        let Some(live) = live else {
            let channel = self.environment.channel();
            bail!("{app} isn't running: run platformer deploy {app}@{channel}, or {app}@VERSION");
        };
        Ok(rollout::scale(self.environment, live, replicas, timeout))
    }

    fn run_once(
        &self,
        spec: &ReleaseSpec,
        command: OneOff,
        _on_terminal: bool,
    ) -> anyhow::Result<Step<i32>> {
        job::run(self.environment, spec, command)
    }

    fn logs(&self, live: &ReplicaSet, follow: bool, tail: &str) -> anyhow::Result<CommandLine> {
        Ok(CommandLine::docker(["service", "logs"])
            .args(follow.then_some("--follow"))
            .args(["--tail", tail])
            .arg(service_name(self.environment, &live.app, live.colour)))
    }

    fn secret_names(&self, app: &AppName) -> anyhow::Result<Vec<String>> {
        let current = secrets::current(self.environment, app)?;
        Ok(current.into_keys().collect())
    }

    fn set_secret(&self, app: &AppName, name: &str, value: Vec<u8>) -> anyhow::Result<Vec<Step>> {
        secrets::set(self.environment, app, name, value)
    }

    fn remove_secret(&self, app: &AppName, name: &str) -> anyhow::Result<Vec<Step>> {
        secrets::remove(self.environment, app, name)
    }

    fn delete_secrets(&self) -> anyhow::Result<Vec<Step>> {
        secrets::delete_all(self.environment)
    }
}
