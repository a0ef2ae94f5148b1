//! `platformer completions SHELL`: a script that completes commands and options.

use clap_complete::Shell;

use crate::arguments;
use crate::output::print;

pub(crate) fn run(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut arguments::definition(),
        "platformer",
        &mut script,
    );
    print(String::from_utf8_lossy(&script).trim_end());
}
