//! Docker containers, networks and volumes with unique names, which are removed when they are dropped.
//!
//! [`Repository`] is a repository in a container; [`Sample`] is a sample app to publish in it.

mod repository;
mod sample;

use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use platformer::images;
use xtask::build::Profile;

use crate::binaries;
use crate::skip::{only_with_all, skip};

pub use repository::Repository;
pub use sample::Sample;

/// The profile of the binaries in the images.
pub const PROFILE: Profile = Profile::Release;

/// The options of a container without privileges and with a read-only file system.
pub const LOCKED_DOWN: [&str; 5] = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
];

static BUILD: OnceLock<Result<(), BuildError>> = OnceLock::new();

#[derive(Debug)]
enum BuildError {
    /// The Debian base image is missing: a missing prerequisite.
    Base(String),
    /// A Dockerfile fails: a defect.
    Image(String),
}

/// Builds the images once per run. Skips the current test if a prerequisite is missing.
///
/// # Panics
///
/// If all prerequisites are present and the build fails.
pub fn require_images() {
    only_with_all("needs container images");
    require_engine();
    if !binaries::are_static() {
        skip("the binaries are not static (run rustup target add x86_64-unknown-linux-musl)");
    }
    let build = BUILD.get_or_init(|| {
        if let Err(error) = images::base() {
            return Err(BuildError::Base(format!("{error:#}")));
        }
        xtask::images::build(PROFILE).map_err(|error| BuildError::Image(format!("{error:#}")))
    });
    match build {
        Ok(()) => {}
        Err(BuildError::Base(error)) => skip(error),
        Err(BuildError::Image(error)) => panic!("the image build failed: {error}"),
    }
}

/// Skips the current test if Docker Engine does not respond.
pub fn require_engine() {
    if !images::docker_answers() {
        skip("Docker Engine does not respond (install and start Docker Engine)");
    }
}

pub fn docker(arguments: &[&str]) -> Output {
    Command::new("docker")
        .args(arguments)
        .output()
        .expect("docker runs")
}

/// Runs docker, asserts that it succeeds, and returns its standard output.
pub fn succeed(arguments: &[&str]) -> String {
    let output = docker(arguments);
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a command in a running container.
pub fn exec(container: &str, command: &[&str]) -> Output {
    docker(&[&["exec", container][..], command].concat())
}

/// Runs a command in a running container, asserts that it succeeds, and returns its standard output.
pub fn exec_ok(container: &str, command: &[&str]) -> String {
    succeed(&[&["exec", container][..], command].concat())
}

/// Runs a command as root in a new toolbox without a network, with a volume (`NAME:/PATH`). Asserts that the command
/// succeeds, and returns its standard output.
pub fn run_with_volume(volume: &str, command: &[&str]) -> String {
    let run = ["run", "--rm", "--user", "0", "--network", "none"];
    let toolbox = ["--volume", volume, "platformer/toolbox"];
    succeed(&[&run[..], &toolbox, command].concat())
}

/// Kills the first process of a container, as the kernel does when memory runs out. After `docker kill`, the engine
/// would not restart the container.
pub fn kill_process(container: &str) {
    let pid = succeed(&["inspect", "--format", "{{.State.Pid}}", container]);
    let pid: i32 = pid.parse().expect("a process ID");
    assert!(pid > 1, "{container} is not running");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
        .expect("the process gets SIGKILL");
}

/// Returns the bytes that a container has sent since it started, or `None` if it is not running.
pub fn sent_bytes(container: &str) -> Option<u64> {
    let inspect = docker(&["inspect", "--format", "{{.State.Pid}}", container]);
    let pid: u32 = String::from_utf8_lossy(&inspect.stdout)
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)?;
    let interfaces = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    // After the name, eight columns count received data. The next column is the number of sent bytes.
    let sent = interfaces.lines().filter_map(|line| {
        let (name, columns) = line.split_once(':')?;
        let sent = columns.split_whitespace().nth(8)?.parse::<u64>().ok()?;
        (name.trim() != "lo").then_some(sent)
    });
    Some(sent.sum())
}

static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique_name(kind: &str) -> String {
    format!(
        "platformer-test-{}-{}-{kind}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A network, removed when it is dropped.
#[derive(Debug)]
pub struct Network(pub String);

impl Network {
    pub fn new() -> Self {
        let name = unique_name("network");
        succeed(&["network", "create", &name]);
        Self(name)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}

/// A named volume, removed when it is dropped. Declare it before the containers that use it.
#[derive(Debug)]
pub struct Volume(pub String);

impl Volume {
    pub fn new() -> Self {
        let name = unique_name("volume");
        succeed(&["volume", "create", &name]);
        Self(name)
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", &self.0]);
    }
}

/// A container, removed when it is dropped.
#[derive(Debug)]
pub struct Container(pub String);

impl Container {
    /// Creates a container without starting it.
    pub fn create(image: &str) -> Self {
        let name = unique_name("container");
        succeed(&["create", "--name", &name, image]);
        Self(name)
    }

    /// Runs `docker run --detach --name … ARGUMENTS`.
    pub fn run(arguments: &[&str]) -> Self {
        let name = unique_name("container");
        // Owned before it runs, so that a container that fails to start is removed.
        let container = Self(name.clone());
        succeed(&[&["run", "--detach", "--name", &name][..], arguments].concat());
        container
    }

    pub fn logs(&self) -> String {
        let output = docker(&["logs", &self.0]);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    pub fn inspect(&self, format: &str) -> String {
        succeed(&["inspect", "--format", format, &self.0])
    }

    /// Returns the address of a published port. It changes when the container restarts.
    pub fn port(&self, container_port: &str) -> std::net::SocketAddr {
        let line = succeed(&["port", &self.0, container_port]);
        line.lines()
            .next()
            .and_then(|line| line.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// Whether the health check succeeds.
    pub fn is_healthy(&self) -> bool {
        self.inspect("{{.State.Health.Status}}") == "healthy"
    }

    /// Stops the container and returns its exit code.
    pub fn stop(&self) -> i32 {
        succeed(&["stop", &self.0]);
        self.wait()
    }

    /// Waits until the container exits, and returns the exit code.
    pub fn wait(&self) -> i32 {
        succeed(&["wait", &self.0]).parse().expect("an exit code")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}
