//! Waits until the tasks of a service run a release and stay healthy, or until it is clear that they never will.

use std::collections::HashSet;
use std::time::Duration;

use super::tasks::{self, Task};
use crate::engine::exit_code;
use crate::engine::readiness::{self, Observation, Readiness, health_check, health_message};
use crate::shell::Outcome;

const STABLE: Duration = Duration::from_secs(3);

/// The state that a rollout waits for: all replicas run the release, and no others are left.
pub(super) struct Goal {
    pub(super) service: String,
    pub(super) release: String,
    pub(super) replicas: usize,
    /// Ids of the tasks before the rollout.
    pub(super) earlier: HashSet<String>,
    /// Whether the rollout replaces tasks of the same release.
    pub(super) is_restart: bool,
}

impl Goal {
    pub(super) fn wait(&self, timeout: Duration) -> anyhow::Result<()> {
        readiness::wait(timeout, STABLE, || {
            self.observe(&tasks::list(&self.service)?)
        })
    }

    fn counts(&self, task: &Task) -> bool {
        task.release() == self.release && (!self.is_restart || !self.earlier.contains(&task.id))
    }

    fn observe(&self, tasks: &[Task]) -> anyhow::Result<Observation> {
        let (counted, others): (Vec<&Task>, Vec<&Task>) =
            tasks.iter().partition(|task| self.counts(task));
        let ready = counted.iter().filter(|task| task.is_ready()).count();
        let mut new = counted
            .into_iter()
            .filter(|task| !self.earlier.contains(&task.id));
        let failed = new.clone().find(|task| task.has_failed());
        let (readiness, task) = if let Some(failed) = failed {
            let reason = match failed.exit_code() {
                0 => failed.error().to_owned(),
                code => format!("it {}", exit_code::describe(code)),
            };
            (Readiness::Failed(reason), Some(failed))
        } else if ready >= self.replicas && !others.iter().any(|task| task.is_desired()) {
            (Readiness::Ready, None)
        } else if let Some(waiting) = new.find(|task| !task.is_ready() && task.is_desired()) {
            (Readiness::Pending(pending_reason(waiting)?), Some(waiting))
        } else {
            let (replicas, service) = (self.replicas, &self.service);
            let reason = format!(
                "{ready} of {replicas} replicas are running; docker service ps {service} shows why"
            );
            (Readiness::Pending(reason), None)
        };
        Ok(Observation {
            readiness,
            ready,
            log: task.map(|task| readiness::last_lines("docker service logs --raw", &task.id)),
        })
    }
}

/// The message of a task's health check if the task runs on this machine, or the engine's message.
fn pending_reason(task: &Task) -> anyhow::Result<String> {
    if task.container().is_empty() {
        return Ok(match task.error() {
            "" => "no node has accepted it yet".to_owned(),
            error => error.to_owned(),
        });
    }
    Ok(match health_check(task.container()).probe()? {
        Outcome::Success(_) => "Swarm has not checked its health yet".to_owned(),
        Outcome::Failure(output) => health_message(&output),
    })
}
