//! Processes under test, with timeouts. A process is killed when its owner is dropped.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt as _;

use tempfile::TempDir;

/// Limit for each wait of a test.
pub const TIMEOUT: Duration = Duration::from_mins(2);

/// The exit code and output of a process.
#[derive(Debug)]
pub struct Exit {
    /// 128+n if signal n ended the process.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

/// A running process.
#[derive(Debug)]
pub struct Running {
    child: KillOnDrop,
    /// Keeps the directory of the process while the process runs.
    home: Option<Arc<TempDir>>,
    begin: Instant,
    stdout: Output,
    stderr: Output,
}

#[derive(Debug)]
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug)]
struct Output {
    lines: Mutex<Receiver<String>>,
    all: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn read(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        let all = Arc::new(Mutex::new(String::new()));
        let store = Arc::clone(&all);
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line).into_owned();
                store.lock().unwrap().push_str(&text);
                let _ = sender.send(text.trim_end().to_owned());
                line.clear();
            }
        });
        Self {
            lines: Mutex::new(lines),
            all,
            reader,
        }
    }

    fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.lock().unwrap().recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line contains {text:?}:\n{}", self.all.lock().unwrap())
                }
            }
        }
    }

    fn finish(self) -> String {
        // A descendant that is still running may hold the pipe open. Then return the output so far.
        let deadline = Instant::now() + Duration::from_secs(2);
        while !self.reader.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.all.lock().unwrap().clone()
    }
}

/// Starts a program without input, with exactly the variables of `environment`.
pub fn spawn<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    environment: &[(OsString, OsString)],
) -> Running {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)));
    spawn_command(&mut command)
}

pub fn spawn_command(command: &mut Command) -> Running {
    spawn_with_input(command, Stdio::null())
}

pub fn spawn_with_input(command: &mut Command, input: Stdio) -> Running {
    let mut child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} starts: {error}", command.get_program().display()));
    let stdout = Output::read(child.stdout.take().expect("a pipe"));
    let stderr = Output::read(child.stderr.take().expect("a pipe"));
    Running {
        child: KillOnDrop(child),
        home: None,
        begin: Instant::now(),
        stdout,
        stderr,
    }
}

impl Running {
    #[must_use]
    pub fn in_home(mut self, home: &Arc<TempDir>) -> Self {
        self.home = Some(Arc::clone(home));
        self
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.0.id()).expect("a process id")
    }

    pub fn signal(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    /// Waits for a line on standard output that contains `text`.
    pub fn wait_for_stdout(&self, text: &str) -> String {
        self.stdout.wait_for(text)
    }

    /// Waits for a line on standard error that contains `text`.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.stderr.wait_for(text)
    }

    pub fn stderr_so_far(&self) -> String {
        self.stderr.all.lock().unwrap().clone()
    }

    /// Waits until the process exits. The timeout starts now.
    pub fn wait(mut self) -> Exit {
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            match self.child.0.try_wait().expect("a child of this process") {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    panic!(
                        "the process did not exit within {TIMEOUT:?}; its standard error:\n{}",
                        self.stderr_so_far()
                    );
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let elapsed = self.begin.elapsed();
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        let Self { stdout, stderr, .. } = self;
        Exit {
            code,
            stdout: stdout.finish(),
            stderr: stderr.finish(),
            elapsed,
        }
    }
}

/// Sends a signal to a process.
pub fn kill(pid: i32, signal: i32) {
    let status = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(pid.to_string())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "sending signal {signal} to process {pid} failed"
    );
}

/// Waits until `condition` is true.
pub fn eventually(description: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "timed out after {TIMEOUT:?} waiting until {description}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
