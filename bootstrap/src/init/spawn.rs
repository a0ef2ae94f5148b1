//! Starts the command.
#![expect(
    unsafe_code,
    reason = "pre_exec: mask and dispositions are set between fork and exec"
)]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::options::Options;
use super::system;
use crate::early;
use crate::exit::{Exit, Failure};

/// Starts the command and returns its process id.
pub(super) fn spawn(options: &Options) -> Result<libc::pid_t, Failure> {
    let mask = options.mask.unwrap_or_else(early::original_mask);
    let mut command = Command::new(&options.command[0]);
    command.args(&options.command[1..]);
    // SAFETY: the closure makes async-signal-safe system calls only and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            // The standard library has unblocked all signals. SIGTTOU must be blocked for the change of
            // the terminal's foreground group.
            early::set_mask(u64::MAX);
            system::take_foreground();
            early::restore_sigpipe();
            early::set_mask(mask);
            Ok(())
        });
    }
    let child = command
        .spawn()
        .map_err(|error| failure(&options.command[0], error))?;
    libc::pid_t::try_from(child.id())
        .map_err(|_| failure(&options.command[0], io::ErrorKind::Other.into()))
}

/// The failure for a command that is missing (127) or cannot be executed (126), like in POSIX shells.
pub(crate) fn failure(program: &OsStr, error: io::Error) -> Failure {
    let shown = program.display();
    let is_there = program.as_encoded_bytes().contains(&b'/') && Path::new(program).exists();
    match error.raw_os_error() {
        Some(libc::ENOENT) if is_there => Failure::new(
            Exit::NotExecutable,
            format!(
                "{shown} cannot be executed: its interpreter or dynamic loader is missing; use an image that has it, or link the program statically"
            ),
        ),
        Some(libc::ENOENT | libc::ENOTDIR) => Failure::new(
            Exit::CommandNotFound,
            format!("{shown} is not found: check STARTUP_COMMAND, the artefact and the image"),
        ),
        Some(libc::EACCES) => Failure::new(
            Exit::NotExecutable,
            format!("{shown} cannot be executed: give it mode 0755 when you pack it"),
        )
        .because(error),
        Some(libc::E2BIG) => Failure::new(
            Exit::Config,
            "the environment and the command are too long for the kernel: put large values into files",
        ),
        Some(libc::ENOEXEC) => Failure::new(
            Exit::NotExecutable,
            format!(
                "{shown} cannot be executed: build it for this machine, or begin the script with #!"
            ),
        )
        .because(error),
        _ => {
            Failure::new(Exit::NotExecutable, format!("{shown} cannot be executed")).because(error)
        }
    }
}
