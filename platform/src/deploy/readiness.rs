//! Whether containers on this machine are ready, and if not, why.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

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

/// One look at a container.
struct Look {
    state: State,
    /// How often the engine has started it anew.
    restarts: u32,
}

enum State {
    Ready,
    /// It may still become ready.
    NotYet(String),
    /// It will not.
    Never(String),
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
    // How often each had been started anew when it was first seen ready.
    let mut was_ready: HashMap<&String, u32> = HashMap::new();
    loop {
        let mut waits_for = None;
        for container in containers {
            let look = look(environment, container)?;
            if let Some(restarts) = was_ready.get(container)
                && look.restarts > *restarts
            {
                let reason = match last_code(environment, container)? {
                    Some(code) => format!("it was ready, and then {}", ended(code)),
                    None => "it was ready, and ended a moment later".to_owned(),
                };
                return Ok(Err(failure(environment, container, reason, begin)?));
            }
            match look.state {
                State::Ready => {
                    was_ready.entry(container).or_insert(look.restarts);
                }
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

fn look(environment: Environment, container: &str) -> anyhow::Result<Look> {
    const FORMAT: &str = "{{.State.Running}} {{.State.ExitCode}} {{.RestartCount}}";
    let shell = environment.shell;
    let inspected = shell.ask(&Line::docker(["inspect", "--format", FORMAT, container]))?;
    let mut cells = inspected.split(' ');
    let is_running = cells.next() == Some("true");
    let mut number = || cells.next().and_then(|cell| cell.parse().ok());
    let code: i32 = number().unwrap_or_default();
    let restarts = number().unwrap_or_default().unsigned_abs();
    let state = match (is_running, restarts) {
        (false, _) if is_final(code) => State::Never(ended(code)),
        (_, restarts) if restarts > RESTARTS => State::Never(format!(
            "{}, {restarts} times",
            ended(last_code(environment, container)?.unwrap_or(code))
        )),
        (false, _) => State::NotYet(ended(code)),
        (true, _) => asked(environment, container)?,
    };
    Ok(Look { state, restarts })
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

/// What the health check says.
fn asked(environment: Environment, container: &str) -> anyhow::Result<State> {
    let line = Line::docker(["exec", container, "/usr/local/bin/bootstrap", "healthcheck"]);
    Ok(match environment.shell.try_ask(&line)? {
        Ok(_) => State::Ready,
        Err(said) => State::NotYet(remark(&said)),
    })
}

/// The last line of what a health check said, without who said it.
pub(super) fn remark(said: &str) -> String {
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
