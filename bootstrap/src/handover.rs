//! The handover: exec of bootstrap itself as `bootstrap init …`, so that the memory of the fetch is gone,
//! or of the app with `MODE=exec`.
//!
//! 1. [`options`]: read the init's options from settings and config
//! 2. change to the app's user and directory
//! 3. [`exec`]: replace this process
//!
//! Signals are blocked across the exec, so that they wait for the init. A PID 1 without handlers would
//! lose them.

mod exec;
mod options;
mod prepared;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::exit::{Exit, Failure};
use crate::settings::Mode;
pub(crate) use prepared::Prepared;

/// Starts the app; returns only on failure.
pub(crate) fn hand_over(prepared: &Prepared, command: &[OsString]) -> Result<i32, Failure> {
    let options = options::options(prepared, command)?;
    let order = options::order(prepared)?;
    // The remaining steps need no root privileges.
    if let Some(user) = &prepared.settings.user {
        user.switch()?;
    }
    std::env::set_current_dir(&prepared.tree.path).map_err(|error| {
        Failure::new(
            Exit::CannotWrite,
            format!("failed to enter {}", prepared.tree.path.display()),
        )
        .because(error)
    })?;
    refuse_noexec(&prepared.tree.path, &options.command)?;
    let shown: Vec<String> = options
        .command
        .iter()
        .take(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    tracing::info!(
        stage = "start",
        "starting {} in {}, PORT {}",
        shown.join(" "),
        prepared.tree.path.display(),
        prepared
            .environment
            .get("PORT")
            .unwrap_or_default()
            .display()
    );
    let environment = exec::strings(prepared.environment.iter().map(|(name, value)| {
        let mut pair = name.to_owned();
        pair.push("=");
        pair.push(value);
        pair
    }))?;
    match prepared.settings.mode {
        Mode::Exec => exec::become_app(&options.command, &environment),
        Mode::Supervise => exec::become_init(&options, prepared, order.as_ref(), &environment),
    }
}

/// Refuses a tree on a `noexec` mount, as a tmpfs is by default. The kernel's "permission denied" would
/// suggest a wrong mode.
fn refuse_noexec(tree: &Path, command: &[OsString]) -> Result<(), Failure> {
    let Some(program) = command
        .first()
        .filter(|program| program.as_bytes().contains(&b'/'))
    else {
        return Ok(());
    };
    let Ok(program) = std::fs::canonicalize(program) else {
        return Ok(());
    };
    let noexec = statvfs(&program).is_ok_and(|found| found.flags().contains(FsFlags::ST_NOEXEC));
    if !noexec || !program.starts_with(tree) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::CannotWrite,
        format!(
            "{} is on a file system that is mounted noexec: mount the file system with exec, as in --tmpfs {}:exec",
            program.display(),
            tree.parent().unwrap_or(tree).display()
        ),
    ))
}
