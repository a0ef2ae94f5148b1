//! Decides what follows from a signal, the end of a process, or a deadline. Tests need no process.
//!
//! ```text
//! running ──TERM──▶ draining ──drain period or TERM──▶ stopping ──grace period──▶ SIGKILL to all
//!    │                  │                                  │
//!    └──────────────────┴─── the command ends ─────────────┴──▶ leftovers ──rest of the grace──▶ SIGKILL
//! ```

use std::time::{Duration, Instant};

use super::options::Options;

/// Interval of repeated SIGKILLs, for processes that were forked after the last one.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Draining {
        until: Instant,
    },
    Stopping {
        until: Instant,
    },
    /// The command has ended with `code`; its leftovers may run until the deadline.
    Leftovers {
        code: i32,
        until: Instant,
    },
}

/// An action of the init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Make `healthcheck` unhealthy.
    Drain,
    /// Send a signal to the receivers that the scope names.
    Signal(libc::c_int),
    /// Send a signal to every descendant.
    SignalAll(libc::c_int),
    Log(&'static str),
    /// Stop this process until SIGCONT.
    Suspend,
    Exit(i32),
}

#[derive(Debug)]
pub(super) struct Supervisor {
    phase: Phase,
    stop_signal: libc::c_int,
    drain: Duration,
    grace: Duration,
    kill_leftovers: bool,
    suspend: bool,
    /// Whether SIGKILL was logged already.
    killing: bool,
}

impl Supervisor {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            phase: Phase::Running,
            stop_signal: options.stop_signal,
            drain: options.drain,
            grace: options.grace,
            kill_leftovers: options.kill_leftovers,
            suspend: options.suspend,
            killing: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => None,
            Phase::Draining { until }
            | Phase::Stopping { until }
            | Phase::Leftovers { until, .. } => Some(until),
        }
    }

    pub(super) fn on_signal(&mut self, signal: libc::c_int, now: Instant) -> Vec<Action> {
        match (signal, self.phase) {
            (libc::SIGTERM, Phase::Running) if self.drain > Duration::ZERO => {
                self.phase = Phase::Draining {
                    until: now + self.drain,
                };
                vec![Action::Drain]
            }
            (libc::SIGTERM, Phase::Running | Phase::Draining { .. }) => {
                let mut actions = vec![Action::Drain];
                actions.extend(self.stop(now));
                actions
            }
            (libc::SIGTERM, Phase::Stopping { .. }) => vec![Action::Signal(self.stop_signal)],
            (signal, Phase::Leftovers { .. }) => vec![Action::SignalAll(signal)],
            // Job control: the init's parent must see the stop.
            (libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU, _) if self.suspend => {
                vec![Action::Signal(signal), Action::Suspend]
            }
            (signal, _) => vec![Action::Signal(signal)],
        }
    }

    fn stop(&mut self, now: Instant) -> Vec<Action> {
        self.phase = Phase::Stopping {
            until: now + self.grace,
        };
        vec![Action::Signal(self.stop_signal)]
    }

    pub(super) fn on_deadline(&mut self, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Running => Vec::new(),
            Phase::Draining { .. } => self.stop(now),
            Phase::Stopping { .. } => {
                self.phase = Phase::Stopping {
                    until: now + KILL_INTERVAL,
                };
                self.kill("the grace period is over: killing all processes that still run")
            }
            Phase::Leftovers { code, .. } => {
                self.phase = Phase::Leftovers {
                    code,
                    until: now + KILL_INTERVAL,
                };
                self.kill("the app has ended: killing the processes that it left behind")
            }
        }
    }

    fn kill(&mut self, reason: &'static str) -> Vec<Action> {
        let mut actions = vec![Action::SignalAll(libc::SIGKILL)];
        if !std::mem::replace(&mut self.killing, true) {
            actions.push(Action::Log(reason));
        }
        actions
    }

    pub(super) fn on_child_exit(&mut self, code: i32, now: Instant) -> Vec<Action> {
        if !self.kill_leftovers {
            return vec![Action::Exit(code)];
        }
        let until = match self.phase {
            // An orphan has got the command's id.
            Phase::Leftovers { .. } => return Vec::new(),
            // The rest of the grace period, if the app was being stopped.
            Phase::Stopping { until } => until,
            _ => now + self.grace,
        };
        self.phase = Phase::Leftovers { code, until };
        vec![Action::Drain, Action::SignalAll(libc::SIGTERM)]
    }

    pub(super) fn on_no_children(&self) -> Vec<Action> {
        match self.phase {
            Phase::Leftovers { code, .. } => vec![Action::Exit(code)],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor(drain: u64) -> (Supervisor, Instant) {
        let options = Options {
            drain: Duration::from_secs(drain),
            stop_signal: libc::SIGQUIT,
            ..Options::default()
        };
        (Supervisor::new(&options), Instant::now())
    }

    #[test]
    fn drain_then_stop_then_kill() {
        let (mut supervisor, now) = supervisor(5);
        assert_eq!(supervisor.on_signal(libc::SIGTERM, now), [Action::Drain]);
        let drained = supervisor.deadline().unwrap();
        assert_eq!(drained, now + Duration::from_secs(5));
        assert_eq!(
            supervisor.on_deadline(drained),
            [Action::Signal(libc::SIGQUIT)]
        );
        let over = supervisor.deadline().unwrap();
        assert_eq!(over, drained + Duration::from_secs(8));
        assert_eq!(
            supervisor.on_deadline(over)[0],
            Action::SignalAll(libc::SIGKILL)
        );
    }

    #[test]
    fn a_second_term_ends_the_drain() {
        let (mut supervisor, now) = supervisor(5);
        supervisor.on_signal(libc::SIGTERM, now);
        assert!(
            supervisor
                .on_signal(libc::SIGTERM, now)
                .contains(&Action::Signal(libc::SIGQUIT))
        );
        assert_eq!(supervisor.deadline(), Some(now + Duration::from_secs(8)));
    }

    #[test]
    fn other_signals_pass_in_every_phase() {
        let (mut supervisor, now) = supervisor(5);
        assert_eq!(
            supervisor.on_signal(libc::SIGHUP, now),
            [Action::Signal(libc::SIGHUP)]
        );
        supervisor.on_signal(libc::SIGTERM, now);
        assert_eq!(
            supervisor.on_signal(libc::SIGUSR1, now),
            [Action::Signal(libc::SIGUSR1)]
        );
    }

    #[test]
    fn leftovers_get_the_rest_of_the_grace_period() {
        let (mut supervisor, now) = supervisor(0);
        supervisor.on_signal(libc::SIGTERM, now);
        let later = now + Duration::from_secs(3);
        assert_eq!(
            supervisor.on_child_exit(7, later),
            [Action::Drain, Action::SignalAll(libc::SIGTERM)]
        );
        assert_eq!(supervisor.deadline(), Some(now + Duration::from_secs(8)));
        assert_eq!(
            supervisor.on_child_exit(9, later),
            [],
            "an orphan with the command's id"
        );
        assert_eq!(supervisor.on_no_children(), [Action::Exit(7)]);
    }
}
