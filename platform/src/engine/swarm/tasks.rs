//! The tasks of a service, as `docker inspect` prints them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

use crate::shell::CommandLine;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Task {
    #[serde(rename = "ID")]
    pub(super) id: String,
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
    pub(super) fn release(&self) -> &str {
        let labels = &self.spec.container_spec.labels;
        labels.get("platform.release").map_or("", String::as_str)
    }

    /// Swarm calls a task running when it is healthy.
    pub(super) fn is_ready(&self) -> bool {
        self.status.state == "running" && self.is_desired()
    }

    pub(super) fn is_desired(&self) -> bool {
        self.desired_state == "running"
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(
            self.status.state.as_str(),
            "failed" | "rejected" | "orphaned"
        )
    }

    /// The exit code of a task that has ended and is not restarted.
    pub(super) fn final_exit_code(&self) -> Option<i32> {
        if self.has_failed() {
            Some(self.exit_code().max(1))
        } else {
            (self.status.state == "complete").then_some(0)
        }
    }

    pub(super) fn exit_code(&self) -> i32 {
        self.status.container.exit_code
    }

    /// The id of the task's container; empty while no node has started it.
    pub(super) fn container(&self) -> &str {
        &self.status.container.id
    }

    /// The engine's message about a task that does not run.
    pub(super) fn error(&self) -> &str {
        &self.status.err
    }
}

/// The tasks of a service, newest first, with tasks that have ended. A service that does not exist has none.
pub(super) fn list(service: &str) -> anyhow::Result<Vec<Task>> {
    let line = CommandLine::docker(["service", "ps", "--quiet", "--no-trunc", service]);
    let ids = line.probe()?.success().unwrap_or_default();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let line = CommandLine::docker(["inspect", "--type", "task"]).args(ids.lines());
    match line.probe()?.success() {
        Some(json) => serde_json::from_str(&json).context("failed to read docker inspect of tasks"),
        // Swarm has deleted an old task in between. The caller polls again.
        None => Ok(Vec::new()),
    }
}
