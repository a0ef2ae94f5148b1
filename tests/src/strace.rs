//! Faults in system calls, injected by `strace`.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::skip::require_program;

/// The fault at the `when`th traced call of each thread.
#[derive(Debug, Clone, Copy)]
pub enum Injection<'a> {
    /// The call fails with an error, such as `EIO`.
    Error(&'a str),
    /// The call kills the process.
    Kill,
}

/// An `strace` that is attached to a process. It detaches when it is dropped.
#[derive(Debug)]
pub struct Strace {
    child: Option<Child>,
    trace: PathBuf,
    _directory: TempDir,
}

/// Skips the current test if `strace` is not installed.
pub fn require() {
    require_program("strace", "strace");
}

impl Strace {
    pub fn attach(pid: i32, calls: &str, injection: Injection<'_>, when: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let trace = directory.path().join("trace");
        let fault = match injection {
            Injection::Error(name) => format!("error={name}"),
            Injection::Kill => "signal=KILL".to_owned(),
        };
        let mut child = Command::new("strace")
            .args(["-f", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{fault}:when={when}"), "-o"])
            .arg(&trace)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            assert!(
                messages.read_line(&mut line).unwrap() > 0,
                "strace exited before it attached"
            );
        }
        std::thread::spawn(move || std::io::copy(&mut messages, &mut std::io::sink()));
        Self {
            child: Some(child),
            trace,
            _directory: directory,
        }
    }

    /// Detaches, and returns whether a fault was injected.
    pub fn detach(mut self) -> bool {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + Duration::from_millis(500);
        let mut is_asked = false;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                // strace and the threads of a killed process can wait for each other.
                let _ = child.kill();
            } else if !std::mem::replace(&mut is_asked, true) {
                let _ = Command::new("kill").arg(child.id().to_string()).status();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let trace = std::fs::read_to_string(&self.trace).unwrap_or_default();
        trace.contains("(INJECTED)")
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
