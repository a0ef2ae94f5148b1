//! Whether containers on this machine are ready, and if not, why.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::environment::Environment;
use crate::say::say;
use crate::shell::Line;

/// Between two looks.
const PACE: Duration = Duration::from_millis(300);
/// Who is ready must be so for as long: one that ends a moment later is not.
const PROOF: Duration = Duration::from_secs(2);
/// An app may end and be started anew, because what it needs is not there yet; not more often.
const RESTARTS: u32 = 3;
/// Lines of a log that are shown.
pub(crate) const LOG_LINES: &str = "20";

/// Complete after a release's name.
#[derive(Debug)]
pub(crate) struct NotReady {
    pub(crate) after: Duration,
    pub(crate) reason: String,
    pub(crate) log: String,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not ready after {} s: {}",
            self.after.as_secs(),
            self.reason
        )?;
        if self.log.is_empty() {
            return Ok(());
        }
        f.write_str("\nthe last lines of its log:")?;
        self.log
            .lines()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Why it takes so long, told when it changes: nobody has to wait for the end to know.
#[derive(Debug, Default)]
pub(super) struct Progress {
    told: Option<String>,
}

impl Progress {
    pub(super) fn waits_for(&mut self, reason: &str) {
        if self.told.as_deref() != Some(reason) {
            say(&format!("  not ready yet: {reason}"));
            self.told = Some(reason.to_owned());
        }
    }
}

/// Waits until all are ready, and stay so.
pub(super) fn wait(
    environment: Environment,
    containers: &[String],
    patience: Duration,
) -> anyhow::Result<Result<(), NotReady>> {
    let begin = Instant::now();
    let mut ready_since = None;
    let mut progress = Progress::default();
    let mut watched: Vec<_> = containers.iter().map(|name| Watched::new(name)).collect();
    loop {
        let mut waits_for = None;
        for watched in &mut watched {
            let container = watched.container;
            match watched.look(environment)? {
                State::Ready => {}
                State::NotYet(reason) => {
                    waits_for.get_or_insert((container, reason));
                }
                State::Never(reason) => {
                    return Ok(Err(failure(environment, container, reason, begin)?));
                }
            }
        }
        match waits_for {
            None => {
                let since = *ready_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PROOF {
                    return Ok(Ok(()));
                }
            }
            Some((container, reason)) => {
                ready_since = None;
                progress.waits_for(&reason);
                if begin.elapsed() > patience {
                    return Ok(Err(failure(environment, container, reason, begin)?));
                }
            }
        }
        std::thread::sleep(PACE);
    }
}

enum State {
    Ready,
    /// It may still become ready.
    NotYet(String),
    /// It will not.
    Never(String),
}

/// A container that is waited for, and what is known of it so far.
struct Watched<'a> {
    container: &'a str,
    /// How often the engine has started it anew.
    restarts: u32,
    /// The code of its last end.
    code: Option<i32>,
    /// How often it had been started anew when it was first seen ready.
    was_ready: Option<u32>,
}

impl<'a> Watched<'a> {
    const fn new(container: &'a str) -> Self {
        Self {
            container,
            restarts: 0,
            code: None,
            was_ready: None,
        }
    }

    fn look(&mut self, environment: Environment) -> anyhow::Result<State> {
        let runs = self.inspect(environment)?;
        if let Some(state) = self.verdict(runs) {
            return Ok(state);
        }
        let restarts = self.restarts;
        let said = match asked(environment, self.container)? {
            Ok(()) => {
                self.was_ready.get_or_insert(self.restarts);
                return Ok(State::Ready);
            }
            Err(said) => said,
        };
        // It may have ended while it was asked, and then that is what there is to say.
        let runs = self.inspect(environment)? && self.restarts == restarts;
        Ok(self
            .verdict(runs)
            .unwrap_or_else(|| State::NotYet(self.with_earlier_ends(said))))
    }

    /// Notes what the engine says of it; whether it runs.
    fn inspect(&mut self, environment: Environment) -> anyhow::Result<bool> {
        const FORMAT: &str = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
        let inspected = environment.shell.ask(&Line::docker([
            "inspect",
            "--format",
            FORMAT,
            self.container,
        ]))?;
        let found = Found::parse(&inspected)
            .with_context(|| format!("docker inspect says {inspected:?} of {}", self.container))?;
        match found.phase {
            Phase::Ended(code) => self.code = Some(code),
            // The engine no longer tells with what it ended, but when it did.
            Phase::Runs if found.restarts > self.restarts => {
                self.code = last_code(environment, self.container)?.or(self.code);
            }
            Phase::Runs | Phase::NotStarted => {}
        }
        self.restarts = found.restarts;
        Ok(matches!(found.phase, Phase::Runs))
    }

    /// What need not be asked; `None` for one that runs and may be ready.
    fn verdict(&self, runs: bool) -> Option<State> {
        let ended = || self.code.map_or_else(|| "it ended".to_owned(), ended);
        if self.was_ready.is_some_and(|then| self.restarts > then) {
            return Some(State::Never(format!("it was ready, and then {}", ended())));
        }
        if self.code.is_some_and(is_final) {
            return Some(State::Never(ended()));
        }
        if self.restarts > RESTARTS {
            return Some(State::Never(format!(
                "{}, {} times",
                ended(),
                self.restarts
            )));
        }
        match (runs, self.code) {
            (true, _) => None,
            (false, None) => Some(State::NotYet("it does not run yet".to_owned())),
            (false, Some(_)) => Some(State::NotYet(ended())),
        }
    }

    fn with_earlier_ends(&self, said: String) -> String {
        match self.code {
            Some(code) => format!("{said}, and before that {}", ended(code)),
            None => said,
        }
    }
}

/// What the engine says of a container.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    phase: Phase,
    restarts: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    NotStarted,
    Runs,
    /// With this code, also if it is to be started anew in a moment.
    Ended(i32),
}

impl Found {
    /// Reads status, exit code, and count of restarts.
    fn parse(inspected: &str) -> Option<Self> {
        let mut cells = inspected.split(' ');
        let (status, code, restarts) = (cells.next()?, cells.next()?, cells.next()?);
        let phase = match status {
            "created" => Phase::NotStarted,
            // `.State.Running` is true of it.
            "restarting" | "exited" | "dead" => Phase::Ended(code.parse().ok()?),
            _ => Phase::Runs,
        };
        Some(Self {
            phase,
            restarts: restarts.parse().ok()?,
        })
    }
}

/// The exit code of the last end of a container, which runs again by now.
fn last_code(environment: Environment, container: &str) -> anyhow::Result<Option<i32>> {
    const CODE: &str = "{{.Actor.Attributes.exitCode}}";
    let line = Line::docker([
        "events", "--since", "10m", "--until", "0s", "--format", CODE,
    ])
    .and([
        "--filter",
        "event=die",
        "--filter",
        &format!("container={container}"),
    ]);
    let codes = environment.shell.try_ask(&line)?.unwrap_or_default();
    Ok(codes.lines().last().and_then(|code| code.parse().ok()))
}

/// What the health check says, if it is not content.
fn asked(environment: Environment, container: &str) -> anyhow::Result<Result<(), String>> {
    let line = Line::docker(["exec", container, "/usr/local/bin/bootstrap", "healthcheck"]);
    Ok(environment
        .shell
        .try_ask(&line)?
        .map(drop)
        .map_err(|said| last_line(&said)))
}

/// The last line of what a health check said, without who said it.
pub(super) fn last_line(said: &str) -> String {
    let line = said
        .lines()
        .last()
        .unwrap_or("the health check says nothing");
    line.strip_prefix("bootstrap: ").unwrap_or(line).to_owned()
}

/// bootstrap's own codes: to start again changes nothing (contract, section 6). Not 69, which is told by a
/// repository that may come back.
fn is_final(code: i32) -> bool {
    matches!(code, 64..=68 | 70..=78 | 126 | 127)
}

/// What an exit code means.
pub(crate) fn ended(code: i32) -> String {
    let meaning = match code {
        64 => "usage or a bad setting",
        65 => "artefact damaged or refused",
        66 => "no such app, version or release",
        69 => "the repository was not reached",
        73 => "cannot write where the app must go",
        76 => "what answers is no repository",
        77 => "not allowed",
        78 => "its config",
        126 => "the command cannot be executed",
        127 => "the command is not found",
        137 => "killed",
        _ => "the app's own code",
    };
    format!("it ended with {code}, {meaning}")
}

fn failure(
    environment: Environment,
    container: &str,
    reason: String,
    begin: Instant,
) -> anyhow::Result<NotReady> {
    // To standard output and to standard error alike.
    let line = Line::new([
        "sh",
        "-c",
        "exec docker logs --tail \"$1\" \"$2\" 2>&1",
        "sh",
    ])
    .and([LOG_LINES, container]);
    Ok(NotReady {
        after: begin.elapsed(),
        reason,
        log: environment.shell.ask(&line)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn watched(inspected: &str, was_ready: Option<u32>) -> Option<State> {
        let found = Found::parse(inspected).unwrap();
        let watched = Watched {
            container: "web",
            restarts: found.restarts,
            code: match found.phase {
                Phase::Ended(code) => Some(code),
                Phase::Runs | Phase::NotStarted => None,
            },
            was_ready,
        };
        watched.verdict(found.phase == Phase::Runs)
    }

    fn never(state: Option<State>) -> String {
        match state {
            Some(State::Never(reason)) => reason,
            _ => String::from("may become ready"),
        }
    }

    #[test]
    fn one_that_is_to_be_started_anew_has_ended() {
        assert_eq!(
            never(watched("restarting 65 1", None)),
            "it ended with 65, artefact damaged or refused"
        );
        assert_eq!(
            never(watched("exited 78 0", None)),
            "it ended with 78, its config"
        );
    }

    #[test]
    fn an_end_of_the_app_s_own_may_be_followed_by_a_better_start() {
        for inspected in ["restarting 1 1", "restarting 69 3", "created 0 0"] {
            assert!(
                matches!(watched(inspected, None), Some(State::NotYet(_))),
                "{inspected}"
            );
        }
        assert_eq!(
            never(watched("restarting 1 4", None)),
            "it ended with 1, the app's own code, 4 times"
        );
    }

    #[test]
    fn who_was_ready_must_stay_so() {
        assert!(watched("running 0 2", Some(2)).is_none());
        assert_eq!(
            never(watched("restarting 3 3", Some(2))),
            "it was ready, and then it ended with 3, the app's own code"
        );
        assert_eq!(
            never(watched("running 0 3", Some(2))),
            "it was ready, and then it ended"
        );
    }
}
