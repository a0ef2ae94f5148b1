//! Starts the process that watches for changes (`ON_CHANGE`). A separate process keeps its memory out of
//! the init, and notifies the init by a signal.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::system;

/// Starts the watcher, and waits until it has read its order from the descriptor. Afterwards the app
/// cannot read the order: the descriptor is closed, and the watcher's memory is protected.
#[expect(
    unsafe_code,
    reason = "the descriptor's number came with the arguments"
)]
pub(super) fn start(order: i32) -> io::Result<libc::pid_t> {
    // The watcher gets the descriptor only as its standard input.
    system::close_on_exec(order);
    // SAFETY: bootstrap opened the descriptor for this purpose alone, and passed its number.
    let order = unsafe { OwnedFd::from_raw_fd(order) };
    let mut child = Command::new("/proc/self/exe")
        .arg0("bootstrap")
        .arg("_watch")
        // The watcher must not see the app's config.
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
