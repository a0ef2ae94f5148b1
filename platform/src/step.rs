//! Steps of a plan. A command first builds its steps, and then prints them (`--dry-run`) or executes them.

use std::fmt;

use anyhow::Context as _;

use crate::output::print;
use crate::shell::{CommandLine, Shell};

/// One change: the commands that make it, for display, and the code that executes them.
pub(crate) struct Step<T = ()> {
    commands: String,
    action: Box<dyn FnOnce() -> anyhow::Result<T>>,
}

impl<T: 'static> Step<T> {
    /// A step that displays as `commands`, one a line. An empty text displays as nothing.
    pub(crate) fn new(
        commands: impl Into<String>,
        action: impl FnOnce() -> anyhow::Result<T> + 'static,
    ) -> Self {
        Self {
            commands: commands.into(),
            action: Box::new(action),
        }
    }

    /// Passes the result of the step to `next`.
    pub(crate) fn then<U: 'static>(
        self,
        next: impl FnOnce(T) -> anyhow::Result<U> + 'static,
    ) -> Step<U> {
        Step::new(self.commands, move || next((self.action)()?))
    }

    pub(crate) fn without_result(self) -> Step {
        self.then(|_| Ok(()))
    }

    /// Adds `message` to the error of a step that fails.
    pub(crate) fn context(self, message: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self::new(self.commands, move || (self.action)().context(message))
    }

    /// Executes `undo` if the step fails.
    pub(crate) fn or_undo(self, undo: Vec<Step>) -> Self {
        Self::new(self.commands, move || {
            (self.action)().map_err(|error| undone(error, undo))
        })
    }

    pub(crate) fn execute(self) -> anyhow::Result<T> {
        (self.action)()
    }

    /// Executes the step, or prints it in a dry run, which has no result.
    pub(crate) fn apply(self, shell: Shell) -> anyhow::Result<Option<T>> {
        if !shell.dry_run {
            return self.execute().map(Some);
        }
        if !self.commands.is_empty() {
            print(&self.to_string());
        }
        Ok(None)
    }
}

impl Step {
    /// Runs one command.
    pub(crate) fn command(shell: Shell, line: CommandLine) -> Self {
        Self::new(line.to_string(), move || shell.execute(&line).map(drop))
    }

    /// Prints a message to the user.
    pub(crate) fn report(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new("", move || {
            print(&text);
            Ok(())
        })
    }
}

/// Executes all steps in order, or prints them in a dry run.
pub(crate) fn apply_all(steps: Vec<Step>, shell: Shell) -> anyhow::Result<()> {
    steps
        .into_iter()
        .try_for_each(|step| step.apply(shell).map(drop))
}

/// Executes `undo` after `error`, and returns that error, with the error of an undo that fails too.
pub(crate) fn undone(error: anyhow::Error, undo: impl IntoIterator<Item = Step>) -> anyhow::Error {
    match undo.into_iter().try_for_each(Step::execute) {
        Ok(()) => error,
        Err(failure) => error.context(format!("failed to undo the change ({failure:#}), after")),
    }
}

impl<T> fmt::Display for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.commands)
    }
}

impl<T> fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.commands).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_dry_run_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made");
        let line = CommandLine::new(["touch".to_owned(), path.display().to_string()]);
        let shell = |dry_run| Shell {
            dry_run,
            verbose: false,
        };
        let step = || Step::command(shell(true), line.clone());
        assert!(step().apply(shell(true)).unwrap().is_none());
        assert!(!path.exists());
        assert!(step().apply(shell(false)).unwrap().is_some());
        assert!(path.exists());
    }

    #[test]
    fn a_failed_step_is_undone_and_ends_the_plan() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let touch = |name: &str| {
            let line = CommandLine::new(["touch".to_owned(), path(name)]);
            Step::command(Shell::default(), line)
        };
        let fails = Step::command(Shell::default(), CommandLine::new(["false"]))
            .or_undo(vec![touch("undone")])
            .context("the change failed");
        let error = apply_all(vec![fails, touch("later")], Shell::default()).unwrap_err();
        assert_eq!(error.to_string(), "the change failed");
        assert!(directory.path().join("undone").exists());
        assert!(!directory.path().join("later").exists());
    }

    #[test]
    fn a_failed_undo_does_not_hide_the_first_error() {
        let fails = |reason: &'static str| Step::new("", move || anyhow::bail!(reason));
        let step: Step = fails("the app exited").or_undo(vec![fails("docker timed out")]);
        let error = format!("{:#}", step.execute().unwrap_err());
        assert!(error.contains("the app exited"), "{error}");
        assert!(error.contains("docker timed out"), "{error}");
    }
}
