//! What the platform needs of a container engine.

use std::time::Duration;

use anyhow::bail;
use repository_api::AppName;

use crate::release_spec::ReleaseSpec;
use crate::replica_set::ReplicaSet;
use crate::repository;
use crate::shell::CommandLine;
use crate::step::Step;

/// nginx caches a DNS answer for one second, and counts whole seconds: it may use an old answer for two.
pub(super) const DNS_REFRESH: Duration = Duration::from_millis(2200);

/// How a deploy replaces the replicas of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// One replica after another.
    Rolling,
    /// All replicas at once: a second set starts, and then the first set stops.
    BlueGreen,
}

impl std::str::FromStr for Strategy {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "rolling" => Ok(Self::Rolling),
            "blue-green" => Ok(Self::BlueGreen),
            _ => bail!("unknown strategy {text:?}: use rolling or blue-green"),
        }
    }
}

/// A release on its way to traffic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rollout<'a> {
    pub(crate) spec: &'a ReleaseSpec,
    /// The sets of replicas before the deploy.
    pub(crate) before: &'a [ReplicaSet],
    pub(crate) strategy: Strategy,
    /// How long a replica may take to become ready.
    pub(crate) timeout: Duration,
}

/// A command that runs once in the environment of an app.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OneOff<'a> {
    /// Words that the user typed, which run as they are.
    Command(&'a [String]),
    /// `RELEASE_COMMAND`, which bootstrap splits into words as it does `STARTUP_COMMAND`.
    ReleaseCommand(&'a str),
}

impl OneOff<'_> {
    /// Arguments of bootstrap. They name the release by its number, even if the app follows a channel.
    pub(super) fn arguments(self, spec: &ReleaseSpec) -> Vec<String> {
        let reference = format!("{}@{}", spec.app, spec.release);
        let mut arguments = vec!["run".to_owned(), reference, repository::URL.to_owned()];
        if let Self::Command(command) = self {
            arguments.push("--".to_owned());
            arguments.extend_from_slice(command);
        }
        arguments
    }

    pub(super) fn variables(self) -> Vec<String> {
        match self {
            Self::Command(_) => Vec::new(),
            Self::ReleaseCommand(command) => vec![format!("BOOTSTRAP_STARTUP_COMMAND={command}")],
        }
    }
}

/// A container that gets no traffic because a deploy is running or was interrupted.
#[derive(Debug)]
pub(crate) struct IdleContainer {
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) release: String,
}

/// A container engine. Methods that return steps only plan: nothing changes until the steps are executed.
pub(crate) trait Engine {
    /// Steps that bring up or update the load balancer, the repository and the toolbox.
    fn up(&self) -> anyhow::Result<Vec<Step>>;

    /// Steps that remove all containers and networks. Volumes and secrets stay.
    fn down(&self) -> anyhow::Result<Vec<Step>>;

    /// The number of nodes with a load balancer.
    fn load_balancers(&self) -> anyhow::Result<usize>;

    /// The strategy of a deploy that asks for `strategy`, or for none.
    fn strategy(&self, strategy: Option<Strategy>) -> anyhow::Result<Strategy>;

    /// The sets of replicas with traffic, of one app or of all apps.
    fn replica_sets(&self, app: Option<&AppName>) -> anyhow::Result<Vec<ReplicaSet>>;

    /// Containers of all apps that get no traffic.
    fn idle_containers(&self) -> anyhow::Result<Vec<IdleContainer>>;

    /// Steps that create volumes and the token for the containers of a release.
    fn prepare(&self, spec: &ReleaseSpec) -> anyhow::Result<Vec<Step>>;

    /// Steps that start the new replicas, wait until they are ready, and give them traffic.
    /// If they do not become ready, the steps remove them and fail.
    fn start(&self, rollout: &Rollout) -> anyhow::Result<Vec<Step>>;

    /// Steps that drain and remove the replicas that a rollout replaces.
    fn retire(&self, rollout: &Rollout) -> anyhow::Result<Vec<Step>>;

    /// Steps that change the number of replicas.
    fn scale(
        &self,
        app: &AppName,
        live: Option<&ReplicaSet>,
        replicas: usize,
        timeout: Duration,
    ) -> anyhow::Result<Vec<Step>>;

    /// A step that runs a command to its end. Its result is the exit code.
    fn run_once(
        &self,
        spec: &ReleaseSpec,
        command: OneOff,
        on_terminal: bool,
    ) -> anyhow::Result<Step<i32>>;

    /// The command that shows the last `tail` lines of an app's log.
    fn logs(&self, live: &ReplicaSet, follow: bool, tail: &str) -> anyhow::Result<CommandLine>;

    fn secret_names(&self, app: &AppName) -> anyhow::Result<Vec<String>>;

    fn set_secret(&self, app: &AppName, name: &str, value: Vec<u8>) -> anyhow::Result<Vec<Step>>;

    fn remove_secret(&self, app: &AppName, name: &str) -> anyhow::Result<Vec<Step>>;

    /// Steps that delete all secrets of the environment that are not on its volumes.
    fn delete_secrets(&self) -> anyhow::Result<Vec<Step>>;
}
