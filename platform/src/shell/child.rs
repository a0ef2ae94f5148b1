//! Runs a command line as a child process, within its time-out.
//!
//! A child has a process group of its own, so that a time-out also kills the processes that it started.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::command_line::{CommandLine, Input};

/// The outcome of a command whose failure is an answer too, with the output of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success(String),
    Failure(String),
}

impl Outcome {
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Success(_))
    }

    /// The standard output of a command that succeeded.
    pub(crate) fn success(self) -> Option<String> {
        match self {
            Self::Success(output) => Some(output),
            Self::Failure(_) => None,
        }
    }
}

impl CommandLine {
    /// Runs the command and returns its standard output.
    pub(crate) fn read(&self) -> anyhow::Result<String> {
        let output = self.output()?;
        match outcome(&output) {
            Outcome::Success(stdout) => Ok(stdout),
            Outcome::Failure(message) => {
                bail!("{} failed ({}): {message}", self.summary(), output.status)
            }
        }
    }

    /// Runs a command whose failure is an answer too.
    pub(crate) fn probe(&self) -> anyhow::Result<Outcome> {
        Ok(outcome(&self.output()?))
    }

    /// Runs the command on the caller's own standard input and output.
    pub(super) fn attach(&self) -> anyhow::Result<ExitStatus> {
        self.command()?
            .stdin(Stdio::inherit())
            .status()
            .with_context(|| self.not_started())
    }

    fn output(&self) -> anyhow::Result<Output> {
        let mut child = self
            .command()?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| self.not_started())?;
        let group = Pid::from_raw(i32::try_from(child.id())?);
        let writer = self.write_input(&mut child);
        let (ended, is_over) = mpsc::channel::<()>();
        let timeout = self.timeout;
        let watchdog = thread::spawn(move || {
            let timed_out = is_over.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
            if timed_out {
                let _ = killpg(group, Signal::SIGKILL);
            }
            timed_out
        });
        let output = child.wait_with_output();
        drop(ended);
        let timed_out = watchdog.join().unwrap_or_default();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        if timed_out {
            bail!(
                "{} timed out after {timeout:?}: check that `docker version` answers, then retry",
                self.summary()
            );
        }
        output.with_context(|| format!("failed to read the output of {}", self.summary()))
    }

    /// Writes the input from a thread. Ignores errors, because a command that stops reading reports the reason itself.
    fn write_input(&self, child: &mut Child) -> Option<thread::JoinHandle<()>> {
        let (Input::Text(bytes) | Input::Secret(bytes)) = &self.input else {
            return None;
        };
        let (mut pipe, bytes) = (child.stdin.take()?, bytes.clone());
        Some(thread::spawn(move || drop(pipe.write_all(&bytes))))
    }

    fn command(&self) -> anyhow::Result<Command> {
        let (program, arguments) = self.words.split_first().context("an empty command line")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(match &self.input {
                Input::Nothing => Stdio::null(),
                Input::File(path) => File::open(path)
                    .with_context(|| format!("failed to open {}", path.display()))?
                    .into(),
                Input::Text(_) | Input::Secret(_) => Stdio::piped(),
            });
        Ok(command)
    }

    fn not_started(&self) -> String {
        match self.program() {
            program @ ("docker" | "docker-compose") => {
                format!("failed to start {program}: `platformer doctor` lists what is missing")
            }
            program => format!("failed to start {program}"),
        }
    }

    /// The line without its input, which may be long.
    fn summary(&self) -> Self {
        Self {
            input: Input::Nothing,
            ..self.clone()
        }
    }
}

/// Most commands report failures on standard error, a few on standard output.
fn outcome(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        Outcome::Success(stdout)
    } else if stderr.is_empty() {
        Outcome::Failure(stdout)
    } else {
        Outcome::Failure(stderr)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_message() {
        let line = CommandLine::new(["sh", "-c", "echo no >&2; exit 3"]);
        let error = line.read().unwrap_err().to_string();
        assert!(error.contains("exit 3"), "{error}");
        assert!(error.ends_with("(exit status: 3): no"), "{error}");
        assert_eq!(line.probe().unwrap(), Outcome::Failure("no".to_owned()));
    }

    #[test]
    fn a_command_gets_its_input() {
        let line = CommandLine::new(["cat"]).stdin_text("one\ntwo\n");
        assert_eq!(line.read().unwrap(), "one\ntwo");
    }

    /// The `sleep` holds the pipes open, so killing the shell alone would not end the wait.
    #[test]
    fn a_time_out_kills_the_command_and_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!("sleep 600 & echo $! > '{}'; wait", file.display());
        let line = CommandLine::new(["sh", "-c", &script]).timeout(Duration::from_millis(500));
        let begin = Instant::now();
        let error = line.read().unwrap_err().to_string();
        assert!(begin.elapsed() < Duration::from_mins(1));
        assert!(error.contains("timed out after 500ms"), "{error}");
        assert!(error.contains("docker version"), "{error}");
        let pid: i32 = std::fs::read_to_string(file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        // Until its new parent has reaped it, a process that was killed is a zombie.
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        while !is_gone() {
            assert!(begin.elapsed() < Duration::from_mins(1), "{pid} runs on");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
