//! `platformer run APP -- COMMAND`: once, in the environment of what is to run.

use std::io::IsTerminal as _;

use anyhow::ensure;

use super::scale::plan;
use crate::environment::{self, Environment};
use crate::running;
use crate::{deploy, one_off};

/// The command's own exit code.
pub(crate) fn run(environment: Environment, app: &str, command: &[String]) -> anyhow::Result<i32> {
    ensure!(
        !command.is_empty(),
        "what is to be run? write platformer run {app} -- COMMAND"
    );
    let app = environment::app_name(app)?;
    let live = deploy::running(environment, &app)?;
    let plan = plan(environment, &app, running::live(&live))?;
    let on_a_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    one_off::run(environment, &plan, command, on_a_terminal)
}
