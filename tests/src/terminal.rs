//! A pseudo-terminal for a process. The test types and reads, as a person would.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::run::TIMEOUT;

#[derive(Debug)]
pub struct Terminal {
    master: File,
    child: Child,
    output: String,
}

impl Terminal {
    /// Starts a command as the leader of a session with this terminal, as an engine does with `-it`. A background
    /// process that writes is stopped (`stty tostop`).
    #[expect(unsafe_code, reason = "setsid and TIOCSCTTY between fork and exec")]
    pub fn start(command: &mut Command) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let mut modes = tcgetattr(&pty.slave).expect("its modes");
        modes.local_flags.insert(LocalFlags::TOSTOP);
        modes.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &modes).expect("its modes");
        let stdio = |slave: &OwnedFd| Stdio::from(slave.try_clone().expect("a descriptor"));
        command
            .stdin(stdio(&pty.slave))
            .stdout(stdio(&pty.slave))
            .stderr(stdio(&pty.slave));
        let slave = pty.slave.as_raw_fd();
        // SAFETY: both calls are async-signal-safe, and the descriptor is open in the child.
        unsafe {
            command.pre_exec(move || {
                if libc::setsid() == -1 || libc::ioctl(slave, libc::TIOCSCTTY, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the command starts");
        Self {
            master: File::from(pty.master),
            child,
            output: String::new(),
        }
    }

    /// Types; `\x03` is Ctrl-C.
    pub fn type_in(&mut self, text: &str) {
        self.master
            .write_all(text.as_bytes())
            .expect("the terminal accepts input");
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Reads until `text` has appeared.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.output.contains(text) {
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {text:?} in {:?}",
                self.output
            );
            assert!(
                self.read(100),
                "the terminal closed before {text:?}: {:?}",
                self.output
            );
        }
    }

    /// Reads output that is available within the time-out. Returns whether the terminal is still open.
    fn read(&mut self, timeout_ms: u16) -> bool {
        let mut ready = [PollFd::new(
            std::os::fd::AsFd::as_fd(&self.master),
            PollFlags::POLLIN,
        )];
        if poll(&mut ready, PollTimeout::from(timeout_ms)) == Ok(0) {
            return true;
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            // EIO: no process has the terminal open.
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.output
                    .push_str(&String::from_utf8_lossy(&buffer[..read]));
                true
            }
        }
    }

    /// Waits for the end. Returns the exit code (128+n for signal n) and the output.
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                while self.read(0) && self.has_output() {}
                let signalled = || 128 + status.signal().unwrap_or_default();
                return (status.code().unwrap_or_else(signalled), self.output.clone());
            }
            assert!(
                Instant::now() < deadline,
                "timed out waiting for the end: {:?}",
                self.output
            );
            self.read(5);
        }
    }

    fn has_output(&self) -> bool {
        let mut ready = [PollFd::new(
            std::os::fd::AsFd::as_fd(&self.master),
            PollFlags::POLLIN,
        )];
        poll(&mut ready, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
