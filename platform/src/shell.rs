//! Runs docker, docker-compose, and curl in the toolbox.
//!
//! 1. a [`CommandLine`] is a program with its arguments, variables, input and time-out
//! 2. [`CommandLine::read`] and [`CommandLine::probe`] run a command that changes nothing
//! 3. [`Shell::execute`] runs a command that changes something; only steps call it

mod child;
mod command_line;

use std::process::ExitStatus;

pub(crate) use child::Outcome;
pub(crate) use command_line::{CommandLine, SLOW, STOP};

use crate::output::print;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shell {
    /// Prints the commands that would change something, and executes none of them.
    pub(crate) dry_run: bool,
    /// Prints each command that changes something before it runs.
    pub(crate) verbose: bool,
}

impl Shell {
    /// Runs a command that changes something, and returns its standard output.
    pub(crate) fn execute(self, line: &CommandLine) -> anyhow::Result<String> {
        self.announce(line);
        line.read()
    }

    /// Runs a command on the caller's own standard input and output, without a time-out: the user can stop it.
    pub(crate) fn attach(self, line: &CommandLine) -> anyhow::Result<ExitStatus> {
        self.announce(line);
        line.attach()
    }

    fn announce(self, line: &CommandLine) {
        if self.verbose {
            print(&format!("+ {line}"));
        }
    }
}
