//! Debian's Redis, which a test starts when it likes, and ends as it likes.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::ports;
use crate::run::{self, Running, eventually};
use crate::skip::skip;

/// On a port of its own, and in memory only: what it holds ends with it.
#[derive(Debug)]
pub struct Redis {
    pub address: SocketAddr,
    process: Option<Running>,
}

impl Redis {
    /// One that is not started yet; `None`, and a line that says so, where it is not installed.
    pub fn not_yet(test: &str) -> Option<Self> {
        let found = Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            skip(test, "redis-server is not installed");
            return None;
        }
        Some(Self {
            address: ports::free(),
            process: None,
        })
    }

    pub fn start(&mut self) {
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port]);
        self.process = Some(run::spawn_command(&mut command));
        let address = self.address;
        eventually("redis answers", || TcpStream::connect(address).is_ok());
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        let process = self.process.take().expect("a running redis");
        process.signal(libc::SIGKILL);
        process.wait();
    }

    /// Stops it where it is, or lets it go on: it listens, and is silent.
    pub fn signal(&self, signal: i32) {
        let process = self.process.as_ref().expect("a running redis");
        process.signal(signal);
    }

    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }
}
