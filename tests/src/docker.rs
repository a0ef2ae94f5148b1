//! Containers, where Docker answers. Each has a name of its own and is removed with its owner.

use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use platformer::images;
use xtask::build::Profile;

use crate::binaries;
use crate::skip::{only_with_all, skip};

/// The profile of the binaries in the images.
pub const PROFILE: Profile = Profile::Release;

static BUILT: OnceLock<Result<(), Missing>> = OnceLock::new();

/// Why there are no images.
#[derive(Debug)]
enum Missing {
    /// No Debian to build on: a missing prerequisite.
    Base(String),
    /// A Dockerfile fails: a defect.
    Build(String),
}

/// Leaves the current test out where the images cannot be had; builds them, once a run, where they can.
///
/// # Panics
///
/// Where everything that the images need is here and they do not build.
pub fn require_images() {
    only_with_all("needs container images");
    require_engine();
    if !binaries::are_static() {
        skip("the binaries are not static: rustup cannot add the musl target");
    }
    let built = BUILT.get_or_init(|| {
        if let Err(error) = images::base() {
            return Err(Missing::Base(format!("{error:#}")));
        }
        xtask::images::build(PROFILE).map_err(|error| Missing::Build(format!("{error:#}")))
    });
    match built {
        Ok(()) => {}
        Err(Missing::Base(error)) => skip(error),
        Err(Missing::Build(error)) => panic!("the images do not build: {error}"),
    }
}

/// Leaves the current test out where no Docker Engine answers.
pub fn require_engine() {
    if !images::docker_answers() {
        skip("docker does not answer (install and start Docker Engine)");
    }
}

pub fn docker(arguments: &[&str]) -> Output {
    Command::new("docker")
        .args(arguments)
        .output()
        .expect("docker starts")
}

/// Runs docker, expects success, returns its output.
pub fn succeed(arguments: &[&str]) -> String {
    let output = docker(arguments);
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a command as root with a volume (`NAME:/PATH`) and nothing else, expects success, returns its output.
pub fn beside(volume: &str, command: &[&str]) -> String {
    let run = ["run", "--rm", "--user", "0", "--network", "none"];
    let with = ["--volume", volume, "platformer/toolbox"];
    succeed(&[&run[..], &with, command].concat())
}

/// Kills the first process of a container as the kernel would when memory is out. `docker kill` would be taken for
/// somebody's wish, and the engine would not start it anew.
pub fn kill_at_once(container: &str) {
    let pid = succeed(&["inspect", "--format", "{{.State.Pid}}", container]);
    let pid: i32 = pid.parse().expect("a process");
    assert!(pid > 1, "{container} does not run");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it is killed");
}

/// Bytes that a container has sent to others since it started; `None` where it does not run.
pub fn sent(container: &str) -> Option<u64> {
    let inspect = docker(&["inspect", "--format", "{{.State.Pid}}", container]);
    let pid: u32 = String::from_utf8_lossy(&inspect.stdout)
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)?;
    let interfaces = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    // Behind the name eight columns of what was received, and then the bytes that were sent.
    let sent = interfaces.lines().filter_map(|line| {
        let (name, columns) = line.split_once(':')?;
        let sent = columns.split_whitespace().nth(8)?.parse::<u64>().ok()?;
        (name.trim() != "lo").then_some(sent)
    });
    Some(sent.sum())
}

static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique(what: &str) -> String {
    format!(
        "platformer-test-{}-{}-{what}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A network that goes with its owner.
#[derive(Debug)]
pub struct Network(pub String);

impl Network {
    pub fn new() -> Self {
        let name = unique("network");
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

/// A named volume that goes with its owner, which is to be declared before the containers on it.
#[derive(Debug)]
pub struct Volume(pub String);

impl Volume {
    pub fn new() -> Self {
        let name = unique("volume");
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

/// A container that goes with its owner.
#[derive(Debug)]
pub struct Container(pub String);

impl Container {
    /// One that is never started.
    pub fn create(image: &str) -> Self {
        let name = unique("container");
        succeed(&["create", "--name", &name, image]);
        Self(name)
    }

    /// `docker run --detach --name … ARGUMENTS`
    pub fn run(arguments: &[&str]) -> Self {
        let name = unique("container");
        let mut all = vec!["run", "--detach", "--name", &name];
        all.extend(arguments);
        let container = Self(name.clone());
        succeed(&all);
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

    /// The address of a published port.
    pub fn port(&self, inner: &str) -> std::net::SocketAddr {
        let line = succeed(&["port", &self.0, inner]);
        line.lines()
            .next()
            .and_then(|line| line.parse().ok())
            .unwrap_or_else(|| panic!("a port in {line:?}"))
    }

    /// Waits for its end and returns the exit code.
    pub fn wait(&self) -> i32 {
        succeed(&["wait", &self.0]).parse().expect("an exit code")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}
