//! `platformer run APP -- COMMAND`: runs a command once, in the environment of the app's release.

use std::io::IsTerminal as _;

use anyhow::ensure;

use crate::engine::{self, OneOff};
use crate::environment::{self, Environment};
use crate::release_spec::ReleaseSpec;
use crate::replica_set;
use crate::step::apply_all;

/// Returns the command's own exit code.
pub(crate) fn run(environment: Environment, app: &str, command: &[String]) -> anyhow::Result<i32> {
    ensure!(
        !command.is_empty(),
        "platformer run needs a command: platformer run {app} -- COMMAND"
    );
    let app = environment::app_name(app)?;
    let engine = engine::of(environment);
    let sets = engine.replica_sets(Some(&app))?;
    let spec = ReleaseSpec::current(environment, &app, replica_set::live(&sets))?;
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    apply_all(engine.prepare(&spec)?, environment.shell)?;
    let run = engine.run_once(&spec, OneOff::Command(command), on_terminal)?;
    Ok(run.apply(environment.shell)?.unwrap_or(0))
}
