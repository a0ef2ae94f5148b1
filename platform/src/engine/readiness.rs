//! Whether new replicas are ready, and the error of a deploy whose replicas are not.

use std::fmt;
use std::time::{Duration, Instant};

use crate::output::print;
use crate::shell::CommandLine;

pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// Lines of a log that an error shows.
const LOG_LINES: &str = "20";

/// The state of a replica, or of all replicas of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Not ready for this reason, and may become ready.
    Pending(String),
    /// Cannot become ready, for this reason.
    Failed(String),
}

/// The replicas of a rollout did not become ready.
#[derive(Debug)]
pub(super) enum NotReady {
    TimedOut(Report),
    Failed(Report),
}

#[derive(Debug)]
pub(super) struct Report {
    pub(super) after: Duration,
    pub(super) reason: String,
    /// The last lines of the replica's log, if there are any.
    pub(super) log: String,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (end, report) = match self {
            Self::TimedOut(report) => ("timed out", report),
            Self::Failed(report) => ("failed", report),
        };
        write!(
            f,
            "{end} after {} s: {}",
            report.after.as_secs(),
            report.reason
        )?;
        if report.log.is_empty() {
            return Ok(());
        }
        f.write_str("\nlast lines of its log:")?;
        report
            .log
            .lines()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for NotReady {}

/// The state of the replicas of a rollout at one moment.
pub(super) struct Observation {
    pub(super) readiness: Readiness,
    /// Replicas of a rolling update that are ready. The time-out starts again when the number changes.
    pub(super) ready: usize,
    /// The command that prints the log of the replica that the reason is about.
    pub(super) log: Option<CommandLine>,
}

/// Waits until all replicas are ready and stay ready for `stable`, because some apps exit a moment after their start.
/// Fails with [`NotReady`] if they do not become ready.
pub(super) fn wait(
    timeout: Duration,
    stable: Duration,
    mut observe: impl FnMut() -> anyhow::Result<Observation>,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let (mut last_ready, mut last_change) = (0, begin);
    let mut ready_since = None;
    let mut printed = String::new();
    loop {
        let Observation {
            readiness,
            ready,
            log,
        } = observe()?;
        if ready != last_ready {
            (last_ready, last_change) = (ready, Instant::now());
        }
        let report = |reason, log: Option<CommandLine>| Report {
            after: begin.elapsed(),
            reason,
            log: log
                .and_then(|log| log.probe().ok()?.success())
                .unwrap_or_default(),
        };
        match readiness {
            Readiness::Ready => {
                if ready_since.get_or_insert_with(Instant::now).elapsed() >= stable {
                    return Ok(());
                }
            }
            Readiness::Failed(reason) => {
                return Err(NotReady::Failed(report(reason, log)).into());
            }
            Readiness::Pending(reason) => {
                ready_since = None;
                if log.is_some() && printed != reason {
                    print(&format!("  not ready yet: {reason}"));
                    printed.clone_from(&reason);
                }
                if last_change.elapsed() > timeout {
                    return Err(NotReady::TimedOut(report(reason, log)).into());
                }
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Longer than the minute after which bootstrap itself ends a check.
const HEALTH_CHECK: Duration = Duration::from_secs(75);

/// The health check of a container, which docker runs less often than a deploy asks.
pub(super) fn health_check(container: &str) -> CommandLine {
    CommandLine::docker(["exec", container, "/usr/local/bin/bootstrap", "healthcheck"])
        .timeout(HEALTH_CHECK)
}

/// Prints the last lines of a log. `docker logs` and `docker service logs` write to standard output and to standard
/// error; this command merges both.
pub(super) fn last_lines(log_command: &str, target: &str) -> CommandLine {
    let script = format!("exec {log_command} --tail \"$1\" \"$2\" 2>&1");
    CommandLine::new(["sh", "-c", &script, "sh", LOG_LINES, target])
}

/// The last line of a failed health check, without the name of the program.
pub(super) fn health_message(output: &str) -> String {
    let line = output
        .lines()
        .last()
        .unwrap_or("the health check fails without a message");
    line.strip_prefix("bootstrap: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_shows_reason_and_log() {
        let error = NotReady::TimedOut(Report {
            after: Duration::from_secs(12),
            reason: "GET :8080/status → 503".to_owned(),
            log: "one\ntwo".to_owned(),
        });
        assert_eq!(
            error.to_string(),
            "timed out after 12 s: GET :8080/status → 503\nlast lines of its log:\n  one\n  two"
        );
    }
}
