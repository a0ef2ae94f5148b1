//! Waits until the tasks of a service run a release and stay healthy, or until it is clear that they never will.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::tasks::{self, Task};
use crate::engine::exit_code;
use crate::engine::readiness::{LOG_LINES, NotReady, Progress, Readiness, Report, health_message};
use crate::shell::{CommandLine, Outcome};

pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long replicas must stay ready, because some apps end a moment after their start.
const STABLE: Duration = Duration::from_secs(3);

/// The state that a rollout waits for: all replicas run the release, and no others are left.
pub(super) struct Goal {
    pub(super) service: String,
    pub(super) release: String,
    pub(super) replicas: usize,
    /// Ids of the tasks before the rollout.
    pub(super) earlier: HashSet<String>,
    /// Whether the earlier tasks run the same release and are replaced nevertheless.
    pub(super) is_restart: bool,
}

/// What the tasks of a service say about a goal. `task` is the one that the reason is about.
struct Observation<'a> {
    ready: usize,
    readiness: Readiness,
    task: Option<&'a Task>,
}

impl Goal {
    /// Waits for the goal. The time-out begins anew with each replica that becomes ready.
    /// The error is a [`NotReady`] if the goal is not reached.
    pub(super) fn wait(&self, timeout: Duration) -> anyhow::Result<()> {
        let begin = Instant::now();
        let mut last_change = (0, begin);
        let mut ready_since = None;
        let mut progress = Progress::default();
        loop {
            let tasks = tasks::list(&self.service)?;
            let observation = self.observe(&tasks)?;
            if observation.ready != last_change.0 {
                last_change = (observation.ready, Instant::now());
            }
            match observation.readiness {
                Readiness::Ready => {
                    if ready_since.get_or_insert_with(Instant::now).elapsed() >= STABLE {
                        return Ok(());
                    }
                }
                Readiness::Failed(reason) => {
                    let report = report(observation.task, reason, begin);
                    return Err(NotReady::Failed(report).into());
                }
                Readiness::Pending(reason) => {
                    ready_since = None;
                    if observation.task.is_some() {
                        progress.waiting(&reason);
                    }
                    if last_change.1.elapsed() > timeout {
                        let report = report(observation.task, reason, begin);
                        return Err(NotReady::TimedOut(report).into());
                    }
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn counts(&self, task: &Task) -> bool {
        task.release() == self.release && (!self.is_restart || !self.earlier.contains(&task.id))
    }

    fn observe<'a>(&self, tasks: &'a [Task]) -> anyhow::Result<Observation<'a>> {
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
            ready,
            readiness,
            task,
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
    let check = [
        "exec",
        task.container(),
        "/usr/local/bin/bootstrap",
        "healthcheck",
    ];
    Ok(match CommandLine::docker(check).probe()? {
        Outcome::Success(_) => "Swarm has not checked its health yet".to_owned(),
        Outcome::Failure(output) => health_message(&output),
    })
}

fn report(task: Option<&Task>, reason: String, begin: Instant) -> Report {
    // `docker service logs` writes to standard output and to standard error.
    const LOGS: &str = "exec docker service logs --raw --tail \"$1\" \"$2\" 2>&1";
    let log = task.and_then(|task| {
        let logs = CommandLine::new(["sh", "-c", LOGS, "sh", LOG_LINES, &task.id]);
        logs.probe().ok()?.success()
    });
    Report {
        after: begin.elapsed(),
        reason,
        log: log.unwrap_or_default(),
    }
}
