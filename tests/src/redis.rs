//! A Redis that a test can start, stop and kill.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::ports;
use crate::run::{self, Running, eventually};
use crate::skip::require_program;

/// Keeps its data in memory, and loses it when it ends.
#[derive(Debug)]
pub struct Redis {
    pub address: SocketAddr,
    process: Option<Running>,
}

impl Redis {
    /// Prepares a Redis without starting it. Skips the current test if Redis is not installed.
    pub fn stopped() -> Self {
        require_program("redis-server", "redis-server");
        Self {
            address: ports::free(),
            process: None,
        }
    }

    pub fn start(&mut self) {
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port]);
        self.process = Some(run::spawn_command(&mut command));
        let address = self.address;
        eventually("redis answers", || TcpStream::connect(address).is_ok());
    }

    /// Sends SIGKILL, like a crash.
    pub fn kill(&mut self) {
        let process = self.process.take().expect("a running redis");
        process.signal(libc::SIGKILL);
        process.wait();
    }

    /// Sends a signal. After SIGSTOP, Redis accepts connections but doesn't answer.
    pub fn signal(&self, signal: i32) {
        let process = self.process.as_ref().expect("a running redis");
        process.signal(signal);
    }

    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }
}
