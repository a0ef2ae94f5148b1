//! The commands that do the work: each is a line that could be typed.
//!
//! 1. a [`Line`] is a program, its words, variables, and what it reads
//! 2. [`Shell::ask`] runs what only looks, [`Shell::act`] what changes something
//! 3. with `--dry-run` what would change something is printed instead

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context as _, bail};

use crate::say::say;

/// What a command reads.
#[derive(Debug, Clone, Default)]
enum Input {
    #[default]
    Nothing,
    File(PathBuf),
    Text(Vec<u8>),
    /// Never shown.
    Secret(Vec<u8>),
}

/// A command, as it could be typed.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    variables: Vec<(String, String)>,
    words: Vec<String>,
    input: Input,
}

impl Line {
    pub(crate) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            variables: Vec::new(),
            words: words.into_iter().map(Into::into).collect(),
            input: Input::Nothing,
        }
    }

    /// `docker WORDS`
    pub(crate) fn docker<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::new(["docker"]).and(words)
    }

    pub(crate) fn and<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn variables<'a>(
        self,
        pairs: impl IntoIterator<Item = &'a (&'static str, String)>,
    ) -> Self {
        pairs.into_iter().fold(self, |line, (name, value)| {
            line.variable(name, value.clone())
        })
    }

    pub(crate) fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.input = Input::File(path.into());
        self
    }

    pub(crate) fn text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Text(text.into());
        self
    }

    pub(crate) fn secret(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Secret(text.into());
        self
    }

    /// What another line reads.
    pub(crate) fn input_of(mut self, other: Self) -> Self {
        self.input = other.input;
        self
    }

    fn command(&self) -> anyhow::Result<Command> {
        let (program, arguments) = self.words.split_first().context("an empty command")?;
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

    fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Runs it to its end, and keeps what it prints.
    fn output(&self) -> anyhow::Result<Output> {
        let not_started = || match self.program() {
            "docker" | "docker-compose" => format!(
                "failed to start {}: platformer doctor tells what is missing",
                self.program()
            ),
            program => format!("failed to start {program}"),
        };
        let mut child = self
            .command()?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(not_started)?;
        let feeder = match (&self.input, child.stdin.take()) {
            (Input::Text(text) | Input::Secret(text), Some(mut pipe)) => {
                let text = text.clone();
                // A command that ends before it has read everything tells why by itself.
                Some(std::thread::spawn(move || drop(pipe.write_all(&text))))
            }
            _ => None,
        };
        let output = child.wait_with_output().with_context(not_started)?;
        if let Some(feeder) = feeder {
            let _ = feeder.join();
        }
        Ok(output)
    }
}

/// As it would be typed into a shell.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        for (index, word) in self.words.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(word))?;
        }
        match &self.input {
            Input::Nothing => Ok(()),
            Input::File(path) => write!(f, " < {}", quoted(&path.to_string_lossy())),
            Input::Secret(_) => write!(f, " < /dev/stdin  # what is secret"),
            Input::Text(text) => {
                let text = String::from_utf8_lossy(text);
                write!(f, " <<'END'\n{}\nEND", text.trim_end_matches('\n'))
            }
        }
    }
}

/// A word in quotes, where a shell needs them.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+%^".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shell {
    /// Nothing is changed: what would change something is printed.
    pub(crate) dry_run: bool,
    /// What changes something is printed before it is run.
    pub(crate) verbose: bool,
}

impl Shell {
    /// Runs what only looks, and returns what it printed.
    #[expect(clippy::unused_self, reason = "the same with and without --dry-run")]
    pub(crate) fn ask(self, line: &Line) -> anyhow::Result<String> {
        succeeded(line, &line.output()?)
    }

    /// Runs what only looks, and may fail: `None` then.
    #[expect(clippy::unused_self, reason = "the same with and without --dry-run")]
    pub(crate) fn try_ask(self, line: &Line) -> anyhow::Result<Result<String, String>> {
        let output = line.output()?;
        let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(if output.status.success() {
            Ok(printed(&output.stdout))
        } else {
            let said = printed(&output.stderr);
            Err(if said.is_empty() {
                printed(&output.stdout)
            } else {
                said
            })
        })
    }

    /// Runs what changes something, and returns what it printed; `None` in a dry run.
    pub(crate) fn act(self, line: &Line) -> anyhow::Result<Option<String>> {
        if self.dry_run {
            say(&line.to_string());
            return Ok(None);
        }
        if self.verbose {
            say(&format!("+ {line}"));
        }
        succeeded(line, &line.output()?).map(Some)
    }

    /// Runs a command whose output is for the eyes of who typed this.
    pub(crate) fn show(self, line: &Line) -> anyhow::Result<ExitStatus> {
        if self.dry_run {
            say(&line.to_string());
            return Ok(ExitStatus::default());
        }
        if self.verbose {
            say(&format!("+ {line}"));
        }
        line.command()?
            .stdin(Stdio::inherit())
            .status()
            .with_context(|| format!("failed to start {}", line.program()))
    }
}

fn succeeded(line: &Line, output: &Output) -> anyhow::Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if stderr.is_empty() { stdout } else { stderr };
    let mut shown = line.clone();
    // What was read may be long, and is not what is wrong.
    shown.input = Input::Nothing;
    bail!("{shown} failed ({}): {said}", output.status);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_line_reads_as_it_would_be_typed() {
        let line = Line::docker(["exec", "-i", "it's"])
            .and(["a b"])
            .variable("APP", "hello-world")
            .text("r41");
        assert_eq!(
            line.to_string(),
            "APP=hello-world docker exec -i 'it'\\''s' 'a b' <<'END'\nr41\nEND"
        );
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let line = Line::docker(["secret", "create", "x", "-"]).secret("hunter2");
        assert!(!line.to_string().contains("hunter2"));
    }

    #[test]
    fn a_dry_run_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made");
        let line = Line::new(["touch".to_owned(), path.display().to_string()]);
        let dry = Shell {
            dry_run: true,
            verbose: false,
        };
        assert!(dry.act(&line).unwrap().is_none());
        assert!(!path.exists());
        assert!(Shell::default().act(&line).unwrap().is_some());
        assert!(path.exists());
    }

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let line = Line::new(["sh", "-c", "echo no >&2; exit 3"]);
        let error = Shell::default().ask(&line).unwrap_err().to_string();
        assert!(error.contains("exit 3"), "{error}");
        assert!(error.ends_with("(exit status: 3): no"), "{error}");
    }
}
