//! The process that watches for changes (`ON_CHANGE`). It is a process of its own, so that its memory
//! is not the init's, and tells the init by a signal.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::system;

/// Starts the watcher, which reads what it is to watch from `order`, and waits until it has: from then
/// on the app cannot read it, because the descriptor is closed and the watcher's memory is its own.
#[expect(
    unsafe_code,
    reason = "the descriptor's number came with the arguments"
)]
pub(super) fn start(order: i32) -> io::Result<libc::pid_t> {
    // The watcher gets it as its standard input, and under no other number.
    system::close_on_exec(order);
    // SAFETY: bootstrap has opened the descriptor for this alone and passed on its number.
    let order = unsafe { OwnedFd::from_raw_fd(order) };
    let mut child = Command::new("/proc/self/exe")
        .arg0("bootstrap")
        .arg("_watch")
        // Not the app's: its config is none of the watcher's business.
        .env_clear()
        .stdin(File::from(order))
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    if let Some(mut ready) = child.stdout.take() {
        ready.read_to_end(&mut Vec::new())?;
    }
    libc::pid_t::try_from(child.id()).map_err(io::Error::other)
}
