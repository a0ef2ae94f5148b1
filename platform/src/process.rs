//! Child processes that do not outlive their owner.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a command whose standard error is shown, each line behind `name`.
    pub(crate) fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        let log = child.stderr.take().context("no standard error")?;
        let label = name.to_owned();
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                #[expect(clippy::print_stdout, reason = "the demo shows what happens")]
                {
                    println!("  {label:>10} | {line}");
                }
            }
        });
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    /// Waits until `address` accepts connections.
    pub(crate) fn wait_for(
        &mut self,
        address: SocketAddr,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended early ({status})", self.name);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} did not listen on {address} within {patience:?}",
                    self.name
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Asks the process to stop, and waits for it.
    pub(crate) fn stop(mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let kill = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !kill.success() {
            bail!("failed to signal {}", self.name);
        }
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} did not stop within {patience:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended and reaped: nothing happens.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a command ends well in time; one that does not is killed.
pub(crate) fn succeeds_within(command: &mut Command, patience: Duration) -> bool {
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else { return false };
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}
