//! Environments that `platformer` brings up, each with its own name and ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::binaries;
use crate::docker;
use crate::ports;
use crate::skip::skip;

/// Skips the current test if the images or Compose are missing, which training needs.
pub fn require_compose() {
    docker::require_images();
    let succeeds = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !succeeds("docker", &["compose", "version"]) && !succeeds("docker-compose", &["version"]) {
        skip("Compose is not installed (install docker-compose)");
    }
}

/// The exit code and output of `platformer`.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// An environment. When it is dropped, `platformer clean` removes it with its data.
#[derive(Debug)]
pub struct Platform {
    kind: &'static str,
    /// The prefix of the names of its containers, networks and volumes.
    pub name: String,
    variables: Vec<(String, String)>,
    /// The HTTP address of the load balancer.
    pub address: SocketAddr,
    /// The HTTPS address of the load balancer.
    pub https_address: SocketAddr,
    program: PathBuf,
    home: TempDir,
    /// Stacks that use its network, so they must be removed first.
    stacks: Vec<String>,
}

/// A `platformer` in the background, killed when it is dropped.
#[derive(Debug)]
pub struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Platform {
    /// Chooses a name and ports, and starts nothing.
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
            https_address: ports::free(),
            program: binaries::platformer(),
            home: TempDir::new().expect("a directory"),
            stacks: Vec::new(),
        }
    }

    /// Starts a training environment.
    pub fn training() -> Self {
        let platform = Self::new("training", &[]);
        platform.succeed(&["up", "training"]);
        platform
    }

    /// Prepares a training environment for the `platformer` at `program`, and starts nothing.
    pub fn training_of(program: PathBuf) -> Self {
        let mut platform = Self::new("training", &[]);
        platform.program = program;
        platform
    }

    /// Removes a Swarm stack before the environment.
    pub(crate) fn remove_first(&mut self, stack: String) {
        self.stacks.push(stack);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--environment", self.kind])
            .args(arguments)
            .env("PLATFORM_NAME", &self.name)
            .env("HTTP_PORT", self.address.port().to_string())
            .env("HTTPS_PORT", self.https_address.port().to_string())
            .env("XDG_CACHE_HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts `platformer ARGUMENTS` in the background.
    pub fn start(&self, arguments: &[&str]) -> Background {
        let child = self.command(arguments).stdout(Stdio::null()).spawn();
        Background(child.expect("platformer starts"))
    }

    /// Runs `platformer ARGUMENTS`.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, b"")
    }

    /// Runs `platformer ARGUMENTS` with standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        use std::io::Write as _;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("platformer starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        // Fails if platformer exits without reading.
        let _ = pipe.write_all(input);
        drop(pipe);
        let output = child.wait_with_output().expect("platformer exits");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `platformer ARGUMENTS`, asserts that it succeeds, and returns its standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.code, 0,
            "platformer {arguments:?}: {}{}",
            output.stdout, output.stderr
        );
        output.stdout
    }

    /// Runs `platformer ARGUMENTS`, asserts that it succeeds, and parses its standard output.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.succeed(arguments)).expect("JSON on standard output")
    }

    /// Publishes a directory as a version, and writes the app's config.
    pub fn publish(&self, app: &str, directory: &Path, version: &str, config: &str) {
        let file = self.home.path().join(format!("{app}-{version}.config"));
        std::fs::write(&file, config).expect("a config is written");
        let file = file.display().to_string();
        let directory = directory.display().to_string();
        self.succeed(&["publish", app, &directory, version, "--config", &file]);
    }

    /// Moves a channel to a version or release, as the console does.
    pub fn move_channel(&self, app: &str, channel: &str, reference: &str) {
        let toolbox = self.container("toolbox");
        let url = format!("http://repository.platform/channels/{app}/{channel}");
        docker::exec_ok(
            &toolbox,
            &[
                "curl-repository",
                "--fail-with-body",
                "-X",
                "PUT",
                "-d",
                reference,
                &url,
            ],
        );
    }

    /// Returns the first container of a part of the platform.
    pub fn container(&self, part: &str) -> String {
        self.containers(part, None).remove(0)
    }

    /// Returns the containers of a part of the platform, or of one app.
    pub fn containers(&self, part: &str, app: Option<&str>) -> Vec<String> {
        let environment = format!("label=platform.environment={}", self.name);
        let part = format!("label=platform.part={part}");
        let app = app.map(|app| format!("label=platform.app={app}"));
        let mut arguments = vec![
            "ps",
            "--quiet",
            "--no-trunc",
            "--filter",
            &environment,
            "--filter",
            &part,
        ];
        if let Some(app) = &app {
            arguments.extend(["--filter", app]);
        }
        docker::succeed(&arguments)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        for stack in &self.stacks {
            docker::docker(&["stack", "rm", stack]);
        }
        let output = self.run(&["clean", "--yes"]);
        // A second panic would abort the run and hide the first one.
        if !std::thread::panicking() {
            assert_eq!(output.code, 0, "clean: {}{}", output.stdout, output.stderr);
        }
    }
}
