//! Whole environments, brought up by `platformer` beside whatever else runs on this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::binaries;
use crate::docker;
use crate::ports;
use crate::skip::skip;
use crate::swarm;

/// Leaves the current test out where training cannot start: it needs images and Compose.
pub fn require_compose() {
    docker::require_images();
    let answers = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !answers("docker", &["compose", "version"]) && !answers("docker-compose", &["version"]) {
        skip("Compose is not installed (install docker-compose)");
    }
}

/// What `platformer` printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// An environment with names and ports of its own; it goes with its owner, and all that it kept.
#[derive(Debug)]
pub struct Platform {
    kind: &'static str,
    /// What all that belongs to it is called after.
    pub name: String,
    variables: Vec<(String, String)>,
    /// Of its load balancer.
    pub address: SocketAddr,
    pub encrypted: SocketAddr,
    program: PathBuf,
    home: TempDir,
}

/// Ended when its owner goes.
#[derive(Debug)]
pub struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Platform {
    /// Names and ports of an environment; nothing is started yet.
    pub fn new(kind: &'static str, variables: &[(&str, &str)]) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            kind,
            name: format!("test{}x{number}", std::process::id()),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            address: ports::free(),
            encrypted: ports::free(),
            program: binaries::platformer(),
            home: TempDir::new().expect("a directory"),
        }
    }

    pub fn training() -> Self {
        let platform = Self::new("training", &[]);
        platform.succeed(&["up", "training"]);
        platform
    }

    /// A training environment of the `platformer` at `program`; nothing is started yet.
    pub fn training_of(program: PathBuf) -> Self {
        let mut platform = Self::new("training", &[]);
        platform.program = program;
        platform
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--environment", self.kind])
            .args(words)
            .env("PLATFORM_NAME", &self.name)
            .env("HTTP_PORT", self.address.port().to_string())
            .env("HTTPS_PORT", self.encrypted.port().to_string())
            .env("XDG_CACHE_HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `platformer WORDS`, which goes on until its owner goes.
    pub fn start(&self, words: &[&str]) -> Started {
        let child = self.command(words).stdout(Stdio::null()).spawn();
        Started(child.expect("platformer starts"))
    }

    /// `platformer WORDS`
    pub fn run(&self, words: &[&str]) -> Said {
        self.run_with(words, b"")
    }

    /// The same, with something to read.
    pub fn run_with(&self, words: &[&str], input: &[u8]) -> Said {
        use std::io::Write as _;
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("platformer starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        // One that does not read has ended before.
        let _ = pipe.write_all(input);
        drop(pipe);
        let output = child.wait_with_output().expect("platformer ends");
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Expects success; what it printed.
    pub fn succeed(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(
            said.code, 0,
            "platformer {words:?}: {}{}",
            said.stdout, said.stderr
        );
        said.stdout
    }

    /// Expects success and JSON.
    pub fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.succeed(words)).expect("JSON on standard output")
    }

    /// Publishes a directory with a config.
    pub fn publish(&self, app: &str, directory: &Path, version: &str, config: &str) {
        let file = self.home.path().join(format!("{app}-{version}.config"));
        std::fs::write(&file, config).expect("a config is written");
        let file = file.display().to_string();
        let directory = directory.display().to_string();
        self.succeed(&["publish", app, &directory, version, "--config", &file]);
    }

    /// The containers of an app, or of a part of the platform.
    pub fn containers(&self, part: &str, app: Option<&str>) -> Vec<String> {
        let environment = format!("label=platform.environment={}", self.name);
        let part = format!("label=platform.part={part}");
        let app = app.map(|app| format!("label=platform.app={app}"));
        let mut words = vec![
            "ps",
            "--quiet",
            "--no-trunc",
            "--filter",
            &environment,
            "--filter",
            &part,
        ];
        if let Some(app) = &app {
            words.extend(["--filter", app]);
        }
        docker::succeed(&words).lines().map(str::to_owned).collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if self.kind == "production" {
            swarm::remove_store(&self.name);
        }
        let said = self.run(&["clean", "--yes"]);
        // Not while a test fails already: that would hide why.
        if !std::thread::panicking() {
            assert_eq!(said.code, 0, "clean: {}{}", said.stdout, said.stderr);
        }
    }
}
