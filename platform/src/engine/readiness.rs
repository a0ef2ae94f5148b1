//! Whether new replicas are ready, and the error of a deploy whose replicas are not.

use std::fmt;
use std::time::Duration;

use crate::output::print;

/// Lines of a log that an error shows.
pub(super) const LOG_LINES: &str = "20";

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

/// Prints the reason of a wait when it changes, so that users see it before the time-out.
#[derive(Debug, Default)]
pub(super) struct Progress {
    printed: Option<String>,
}

impl Progress {
    pub(super) fn waiting(&mut self, reason: &str) {
        if self.printed.as_deref() != Some(reason) {
            print(&format!("  not ready yet: {reason}"));
            self.printed = Some(reason.to_owned());
        }
    }
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
