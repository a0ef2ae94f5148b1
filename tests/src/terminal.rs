//! A terminal of its own for a process: the test types and reads, as a person would.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::run::PATIENCE;

#[derive(Debug)]
pub struct Terminal {
    master: File,
    child: Child,
    seen: String,
}

impl Terminal {
    /// Starts a command as the leader of a session whose terminal this is, as an engine does with
    /// `-it`. A process in the background that writes is stopped (`stty tostop`).
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
        let child = command.spawn().expect("it starts");
        Self {
            master: File::from(pty.master),
            child,
            seen: String::new(),
        }
    }

    /// Types; `\x03` is Ctrl-C.
    pub fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("it is typed");
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Reads until `text` has appeared.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            assert!(Instant::now() < deadline, "{text:?} in {:?}", self.seen);
            assert!(self.read(100), "{text:?} before the end of {:?}", self.seen);
        }
    }

    /// Whether the terminal is still open.
    fn read(&mut self, patience_ms: u16) -> bool {
        let mut ready = [PollFd::new(
            std::os::fd::AsFd::as_fd(&self.master),
            PollFlags::POLLIN,
        )];
        if poll(&mut ready, PollTimeout::from(patience_ms)) == Ok(0) {
            return true;
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            // EIO: everybody who had it open is gone.
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.seen
                    .push_str(&String::from_utf8_lossy(&buffer[..read]));
                true
            }
        }
    }

    /// Everything that appeared, and the exit code; 128+n for a death of signal n.
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                while self.read(0) && self.read_more() {}
                let died = || 128 + status.signal().unwrap_or_default();
                return (status.code().unwrap_or_else(died), self.seen.clone());
            }
            assert!(Instant::now() < deadline, "not ended: {:?}", self.seen);
            self.read(5);
        }
    }

    fn read_more(&self) -> bool {
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
