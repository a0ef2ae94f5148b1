//! An environment: the names of its networks, containers and channels, and its stack files.

mod kind;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use repository_api::AppName;

use crate::embedded;
use crate::images;
use crate::shell::{CommandLine, Shell};
pub(crate) use kind::Kind;

/// Names of the platform's own services.
const RESERVED: [&str; 5] = [
    "repository",
    "loadbalancer",
    "redis",
    "toolbox",
    "localhost",
];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment {
    pub(crate) kind: Kind,
    pub(crate) shell: Shell,
}

impl Environment {
    /// The prefix of all names: `PLATFORM_NAME`, which a second environment of a kind on one machine needs.
    pub(crate) fn name(self) -> &'static str {
        static PLATFORM_NAME: OnceLock<Option<String>> = OnceLock::new();
        let name = PLATFORM_NAME.get_or_init(|| {
            std::env::var("PLATFORM_NAME")
                .ok()
                .filter(|name| !name.is_empty())
        });
        name.as_deref().unwrap_or(self.kind.name())
    }

    /// The config layer of its apps.
    pub(crate) fn layer(self) -> &'static str {
        self.kind.name()
    }

    /// The network of the load balancer and the apps.
    pub(crate) fn front(self) -> String {
        format!("{}_front", self.name())
    }

    /// The network of the apps and their backing services.
    pub(crate) fn back(self) -> String {
        format!("{}_back", self.name())
    }

    /// The channel that names the live release of each app.
    pub(crate) fn channel(self) -> &'static str {
        self.kind.name()
    }

    /// The channel of a release that a deploy tries before it promotes the release to [`Self::channel`].
    pub(crate) fn candidate_channel(self) -> String {
        format!("{}-candidate", self.channel())
    }

    /// `--label platform.environment=NAME` for `docker … create`.
    pub(crate) fn label(self) -> [String; 2] {
        let label = format!("platform.environment={}", self.name());
        ["--label".to_owned(), label]
    }

    /// Restricts a `docker … ls` or `docker ps` to this environment.
    pub(crate) fn filter(self, line: CommandLine) -> CommandLine {
        line.filter_label("platform.environment", self.name())
    }

    /// Restricts a `docker … ls` or `docker ps` to one part of this environment, such as `toolbox` or `app`.
    pub(crate) fn filter_part(self, line: CommandLine, part: &str) -> CommandLine {
        self.filter(line).filter_label("platform.part", part)
    }

    /// The container of a part of the platform on this machine.
    pub(crate) fn container(self, part: &str) -> anyhow::Result<String> {
        let list = CommandLine::docker(["ps", "--format", "{{.Names}}"]);
        let names = self.filter_part(list, part).read()?;
        names.lines().next().map(str::to_owned).with_context(|| {
            format!(
                "the {part} of {} isn't running on this machine: run platformer up {}",
                self.name(),
                self.kind.name()
            )
        })
    }

    /// The port of the load balancer on this machine.
    pub(crate) fn http_port(self) -> anyhow::Result<String> {
        const HOST_PORT: &str = "{{range $to := index .NetworkSettings.Ports \"8080/tcp\"}}{{println $to.HostPort}}{{end}}";
        let container = self.container("loadbalancer")?;
        let ports = CommandLine::docker(["inspect", "--format", HOST_PORT, &container]).read()?;
        Ok(ports.lines().next().unwrap_or("8080").to_owned())
    }

    /// Whether the toolbox runs on this machine, in an environment of this kind.
    pub(crate) fn is_up(self) -> anyhow::Result<bool> {
        const SERVICE: &str = "<{{.Label \"com.docker.swarm.service.name\"}}>";
        let list = CommandLine::docker(["ps", "--format", SERVICE]);
        let found = self.filter_part(list, "toolbox").read()?;
        Ok(found
            .lines()
            .any(|service| (service == "<>") == (self.kind == Kind::Training)))
    }

    /// Names of containers on the environment's networks that do not belong to the environment.
    pub(crate) fn foreign_containers(self) -> anyhow::Result<Vec<String>> {
        const NAMES: &str = "{{range .Containers}}{{println .Name}}{{end}}";
        let own = self
            .filter(CommandLine::docker([
                "ps",
                "--all",
                "--format",
                "{{.Names}}",
            ]))
            .read()?;
        let mut foreign = Vec::new();
        for network in [self.front(), self.back()] {
            let line = CommandLine::docker(["network", "inspect", "--format", NAMES, &network]);
            let names = line.probe()?.success().unwrap_or_default();
            let is_foreign = |name: &&str| {
                !name.is_empty()
                    // An overlay network has an endpoint of its own.
                    && !name.ends_with("-endpoint")
                    && !own.lines().any(|own| own == *name)
            };
            foreign.extend(names.lines().filter(is_foreign).map(str::to_owned));
        }
        foreign.sort();
        foreign.dedup();
        Ok(foreign)
    }

    /// The full name of an image of the platform, from the registry that `up` used.
    pub(crate) fn image(self, tag: &str) -> anyhow::Result<String> {
        static REGISTRY: OnceLock<String> = OnceLock::new();
        if let Some(registry) = REGISTRY.get() {
            return Ok(format!("{registry}{tag}"));
        }
        let registry = if let Some(registry) = images::registry() {
            registry
        } else {
            let list = CommandLine::docker(["ps", "--format", "{{.Image}}"]);
            let image = self.filter_part(list, "toolbox").read()?;
            let image = image.lines().next().unwrap_or_default();
            let registry = image.split_once("platformer/toolbox");
            registry.map_or_else(String::new, |(registry, _)| registry.to_owned())
        };
        Ok(format!("{}{tag}", REGISTRY.get_or_init(|| registry)))
    }

    /// The directory of this machine's state about the environment.
    pub(crate) fn directory(self) -> anyhow::Result<PathBuf> {
        let base = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME is set: set HOME")?;
        let directory = base.join("platformer").join(self.name());
        fs::create_dir_all(&directory)
            .with_context(|| format!("failed to create {}", directory.display()))?;
        Ok(directory)
    }

    /// Locks an app against other `platformer` processes of this machine until the returned file is dropped.
    pub(crate) fn lock(self, app: &AppName) -> anyhow::Result<File> {
        let path = self.directory()?.join(format!("{app}.lock"));
        let file =
            File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
        if file.try_lock().is_err() {
            bail!(
                "another platformer command is changing {app} from this machine: retry when it finishes"
            );
        }
        Ok(file)
    }
}

/// The path of a stack file, for docker.
pub(crate) fn file(name: &str) -> anyhow::Result<String> {
    Ok(embedded::stack_file(name)?.display().to_string())
}

/// The environment of the given kind or, without a kind, the only one that is up on this machine.
pub(crate) fn find(kind: Option<Kind>, shell: Shell) -> anyhow::Result<Environment> {
    check_name()?;
    let mut up = Vec::new();
    for kind in [Kind::Training, Kind::Production] {
        let environment = Environment { kind, shell };
        if environment.is_up()? {
            up.push(environment);
        }
    }
    match (kind, up.as_slice()) {
        (Some(kind), [other])
            if other.kind != kind && other.name() == (Environment { kind, shell }).name() =>
        {
            bail!(
                "{name} is up as {other}, not as {kind}: use --environment {other}, or another PLATFORM_NAME",
                name = other.name(),
                other = other.kind.name(),
                kind = kind.name()
            )
        }
        (Some(kind), _) => Ok(Environment { kind, shell }),
        (None, [environment]) => Ok(*environment),
        (None, []) => bail!("no environment is up on this machine: run platformer up"),
        (None, _) => bail!(
            "training and production are both up on this machine: choose one with --environment training or --environment production"
        ),
    }
}

/// Checks `PLATFORM_NAME`, the prefix of the names of networks, volumes and stacks.
pub(crate) fn check_name() -> anyhow::Result<()> {
    let Ok(name) = std::env::var("PLATFORM_NAME") else {
        return Ok(());
    };
    let is_valid = name.len() <= 20
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    ensure!(
        is_valid,
        "PLATFORM_NAME is {name:?}: use at most twenty characters of a-z, 0-9 and -, such as training-2"
    );
    Ok(())
}

/// Parses the name of an app, and refuses the names of the platform's own services.
pub(crate) fn app_name(text: &str) -> anyhow::Result<AppName> {
    let app: AppName = text.parse()?;
    ensure!(
        !RESERVED.contains(&app.as_str()),
        "{app} is the name of a service of the platform: give the app another name"
    );
    Ok(app)
}
