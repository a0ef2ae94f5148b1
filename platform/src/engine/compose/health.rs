//! Waits until new containers are ready and stay ready, or until it is clear that they never will be.

use std::time::Duration;

use anyhow::Context as _;

use crate::engine::exit_code;
use crate::engine::readiness::{self, Observation, Readiness, health_check, health_message};
use crate::shell::{CommandLine, Outcome};

const STABLE: Duration = Duration::from_secs(2);
/// Maximum restarts of an app while a service that it needs starts.
const MAX_RESTARTS: u32 = 3;

/// Waits until all containers are ready.
pub(super) fn wait(containers: &[String], timeout: Duration) -> anyhow::Result<()> {
    let mut watches: Vec<_> = containers.iter().map(|name| Watch::new(name)).collect();
    readiness::wait(timeout, STABLE, || {
        let mut pending = None;
        for watch in &mut watches {
            let readiness = watch.observe()?;
            let log = readiness::last_lines("docker logs", watch.container);
            let observation = Observation {
                readiness,
                ready: 0,
                log: Some(log),
            };
            match observation.readiness {
                Readiness::Ready => {}
                Readiness::Pending(_) => pending = pending.or(Some(observation)),
                Readiness::Failed(_) => return Ok(observation),
            }
        }
        Ok(pending.unwrap_or(Observation {
            readiness: Readiness::Ready,
            ready: 0,
            log: None,
        }))
    })
}

/// A container, and the results of earlier observations.
struct Watch<'a> {
    container: &'a str,
    restarts: u32,
    /// The code of the last observed exit.
    exit_code: Option<i32>,
    /// The number of restarts when the container first was ready.
    restarts_when_ready: Option<u32>,
}

impl<'a> Watch<'a> {
    const fn new(container: &'a str) -> Self {
        Self {
            container,
            restarts: 0,
            exit_code: None,
            restarts_when_ready: None,
        }
    }

    fn observe(&mut self) -> anyhow::Result<Readiness> {
        let is_running = self.inspect()?;
        if let Some(readiness) = self.readiness_without_check(is_running) {
            return Ok(readiness);
        }
        let restarts = self.restarts;
        let message = match health_check(self.container).probe()? {
            Outcome::Success(_) => {
                self.restarts_when_ready.get_or_insert(restarts);
                return Ok(Readiness::Ready);
            }
            Outcome::Failure(output) => health_message(&output),
        };
        // If the container has exited during the check, the exit is the reason.
        let is_running = self.inspect()? && self.restarts == restarts;
        Ok(self.readiness_without_check(is_running).unwrap_or_else(|| {
            Readiness::Pending(match self.exit_code {
                Some(code) => format!("{message} (before, it {})", exit_code::describe(code)),
                None => message,
            })
        }))
    }

    /// Updates the restarts and the exit code. Returns whether the container runs.
    fn inspect(&mut self) -> anyhow::Result<bool> {
        const FORMAT: &str = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
        let line = CommandLine::docker(["inspect", "--format", FORMAT, self.container]);
        let inspected = line.read()?;
        let state = ContainerState::parse(&inspected).with_context(|| {
            format!(
                "docker inspect printed {inspected:?} for {}",
                self.container
            )
        })?;
        self.restarts = state.restarts;
        if let Phase::Exited(code) = state.phase {
            self.exit_code = Some(code);
        }
        Ok(state.phase == Phase::Running)
    }

    /// The readiness of a container; `None` if only its health check can tell.
    fn readiness_without_check(&self, is_running: bool) -> Option<Readiness> {
        // Docker forgets the exit code when it restarts a container, so an observation may have missed it.
        let exit = || {
            self.exit_code
                .map_or_else(|| "exited".to_owned(), exit_code::describe)
        };
        if self
            .restarts_when_ready
            .is_some_and(|restarts| self.restarts > restarts)
        {
            return Some(Readiness::Failed(format!("it was ready, then {}", exit())));
        }
        if self.exit_code.is_some_and(exit_code::is_permanent) {
            return Some(Readiness::Failed(format!("it {}", exit())));
        }
        // The pause before a restart doubles each time, so a later observation finds the exit code.
        if self.restarts > MAX_RESTARTS && self.exit_code.is_some() {
            let restarts = self.restarts;
            return Some(Readiness::Failed(format!(
                "it {}, {restarts} times",
                exit()
            )));
        }
        match (is_running, self.exit_code) {
            (true, _) => None,
            (false, None) => Some(Readiness::Pending("it has not started yet".to_owned())),
            (false, Some(_)) => Some(Readiness::Pending(format!("it {}", exit()))),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct ContainerState {
    phase: Phase,
    restarts: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Created,
    Running,
    /// Exited with this code, and perhaps waiting for its restart.
    Exited(i32),
}

impl ContainerState {
    /// Parses status, exit code and number of restarts.
    fn parse(inspected: &str) -> Option<Self> {
        let mut cells = inspected.split(' ');
        let (status, code, restarts) = (cells.next()?, cells.next()?, cells.next()?);
        let phase = match status {
            "created" => Phase::Created,
            // For `restarting`, `.State.Running` is true.
            "restarting" | "exited" | "dead" => Phase::Exited(code.parse().ok()?),
            _ => Phase::Running,
        };
        Some(Self {
            phase,
            restarts: restarts.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn readiness(inspected: &str, restarts_when_ready: Option<u32>) -> Option<Readiness> {
        let state = ContainerState::parse(inspected).unwrap();
        let watch = Watch {
            container: "web",
            restarts: state.restarts,
            exit_code: match state.phase {
                Phase::Exited(code) => Some(code),
                Phase::Running | Phase::Created => None,
            },
            restarts_when_ready,
        };
        watch.readiness_without_check(state.phase == Phase::Running)
    }

    fn failed(reason: &str) -> Readiness {
        Readiness::Failed(reason.to_owned())
    }

    #[test]
    fn a_container_that_waits_for_its_restart_has_exited() {
        assert_eq!(
            readiness("restarting 65 1", None),
            Some(failed(
                "it exited with code 65 (artefact damaged or refused)"
            ))
        );
        assert_eq!(
            readiness("exited 78 0", None),
            Some(failed("it exited with code 78 (invalid config)"))
        );
    }

    #[test]
    fn an_app_may_fail_and_restart_three_times() {
        for inspected in ["restarting 1 1", "restarting 69 3", "created 0 0"] {
            assert!(
                matches!(readiness(inspected, None), Some(Readiness::Pending(_))),
                "{inspected}"
            );
        }
        assert_eq!(
            readiness("restarting 1 4", None),
            Some(failed(
                "it exited with code 1 (the app's own exit code), 4 times"
            ))
        );
        // The observation missed the exit code: the next pause is longer.
        assert_eq!(readiness("running 0 4", None), None);
    }

    #[test]
    fn a_ready_container_must_not_restart() {
        assert_eq!(readiness("running 0 2", Some(2)), None);
        assert_eq!(
            readiness("restarting 3 3", Some(2)),
            Some(failed(
                "it was ready, then exited with code 3 (the app's own exit code)"
            ))
        );
        assert_eq!(
            readiness("running 0 3", Some(2)),
            Some(failed("it was ready, then exited"))
        );
    }
}
