//! An environment: what everything in it is called, and where the files are that describe it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use repository_api::AppName;

use crate::embedded;
use crate::images;
use crate::shell::{Line, Shell};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One machine, Compose.
    Training,
    /// Swarm.
    Production,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Production => "production",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "training" => Ok(Self::Training),
            "production" => Ok(Self::Production),
            _ => bail!("there is no environment {text:?}: it is training or production"),
        }
    }
}

/// Names that are the platform's own.
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
    /// What all that belongs to it is called after: `PLATFORM_NAME`, where one machine has several of a kind.
    pub(crate) fn name(self) -> &'static str {
        static NAMED: OnceLock<Option<String>> = OnceLock::new();
        let named = NAMED.get_or_init(|| {
            std::env::var("PLATFORM_NAME")
                .ok()
                .filter(|name| !name.is_empty())
        });
        named.as_deref().unwrap_or(self.kind.name())
    }

    /// The config layer of its apps.
    pub(crate) fn layer(self) -> &'static str {
        self.kind.name()
    }

    /// The network of the load balancer and the apps.
    pub(crate) fn front(self) -> String {
        format!("{}_front", self.name())
    }

    /// The network of the apps and of what they use.
    pub(crate) fn back(self) -> String {
        format!("{}_back", self.name())
    }

    /// The channel that says what is to run.
    pub(crate) fn channel(self) -> &'static str {
        self.kind.name()
    }

    /// The channel of what is being tried: it becomes what is to run when it is ready.
    pub(crate) fn candidate_channel(self) -> String {
        format!("{}-candidate", self.channel())
    }

    /// A filter for `docker ps`, `docker service ls` and their like.
    pub(crate) fn filters(self, part: &str) -> Vec<String> {
        [
            format!("label=platform.environment={}", self.name()),
            format!("label=platform.part={part}"),
        ]
        .into_iter()
        .flat_map(|filter| ["--filter".to_owned(), filter])
        .collect()
    }

    /// The container of a part of the platform on this machine.
    pub(crate) fn container(self, part: &str) -> anyhow::Result<String> {
        let line = Line::docker(["ps", "--format", "{{.Names}}"]).and(self.filters(part));
        let names = self.shell.ask(&line)?;
        names.lines().next().map(str::to_owned).with_context(|| {
            format!(
                "the {part} of {} does not run on this machine: platformer up {}",
                self.name(),
                self.kind.name()
            )
        })
    }

    /// Whether its toolbox runs here, as this kind of environment.
    pub(crate) fn is_up(self) -> anyhow::Result<bool> {
        const SERVICE: &str = "<{{.Label \"com.docker.swarm.service.name\"}}>";
        let line = Line::docker(["ps", "--format", SERVICE]).and(self.filters("toolbox"));
        let found = self.shell.ask(&line)?;
        Ok(found
            .lines()
            .any(|service| (service == "<>") == (self.kind == Kind::Training)))
    }

    /// What is on its networks and not its own, by name.
    pub(crate) fn strangers(self) -> anyhow::Result<Vec<String>> {
        const NAMES: &str = "{{range .Containers}}{{println .Name}}{{end}}";
        let label = format!("label=platform.environment={}", self.name());
        let ours = Line::docker(["ps", "--all", "--format", "{{.Names}}", "--filter", &label]);
        let ours = self.shell.ask(&ours)?;
        let mut strangers = Vec::new();
        for network in [self.front(), self.back()] {
            let line = Line::docker(["network", "inspect", "--format", NAMES, &network]);
            let names = self.shell.try_ask(&line)?.unwrap_or_default();
            // An overlay has an endpoint of its own.
            let is_strange = |name: &&str| {
                !name.is_empty()
                    && !name.ends_with("-endpoint")
                    && !ours.lines().any(|own| own == *name)
            };
            strangers.extend(names.lines().filter(is_strange).map(str::to_owned));
        }
        strangers.sort();
        strangers.dedup();
        Ok(strangers)
    }

    /// An image of the platform's own, by the name under which it was brought up.
    pub(crate) fn image(self, tag: &str) -> anyhow::Result<String> {
        static REGISTRY: OnceLock<String> = OnceLock::new();
        if let Some(registry) = REGISTRY.get() {
            return Ok(format!("{registry}{tag}"));
        }
        let registry = if let Some(registry) = images::registry() {
            registry
        } else {
            let line = Line::docker(["ps", "--format", "{{.Image}}"]).and(self.filters("toolbox"));
            let used = self.shell.ask(&line)?;
            let registry = used
                .lines()
                .next()
                .and_then(|used| Some(used.split_once("platformer/toolbox")?.0.to_owned()));
            registry.unwrap_or_default()
        };
        Ok(format!("{}{tag}", REGISTRY.get_or_init(|| registry)))
    }

    /// Makes a volume, unless it is there; the app's user owns it, wherever it will be mounted.
    pub(crate) fn volume(self, stored: &str) -> anyhow::Result<()> {
        let shell = self.shell;
        if shell
            .try_ask(&Line::docker(["volume", "inspect", stored]))?
            .is_ok()
        {
            return Ok(());
        }
        let label = format!("platform.environment={}", self.name());
        shell.act(&Line::docker([
            "volume", "create", "--label", &label, stored,
        ]))?;
        shell.act(
            &Line::docker(["run", "--rm", "--user", "0", "--network", "none"])
                .and(["--volume", &format!("{stored}:/volume")])
                .and([
                    &self.image("platformer/toolbox")?,
                    "chown",
                    "10001:10001",
                    "/volume",
                ]),
        )?;
        Ok(())
    }

    /// Where this machine keeps what is written for an environment.
    pub(crate) fn directory(self) -> anyhow::Result<PathBuf> {
        let base = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME is set: set HOME")?;
        let directory = base.join("platformer").join(self.name());
        fs::create_dir_all(&directory)
            .with_context(|| format!("failed to make {}", directory.display()))?;
        Ok(directory)
    }

    /// Held as long as an app of this environment is changed from this machine.
    pub(crate) fn lock(self, app: &AppName) -> anyhow::Result<File> {
        let path = self.directory()?.join(format!("{app}.lock"));
        let file =
            File::create(&path).with_context(|| format!("failed to make {}", path.display()))?;
        if file.try_lock().is_err() {
            bail!("{app} is just being changed from this machine: wait until that has ended");
        }
        Ok(file)
    }
}

/// The path of a stack file, for docker.
pub(crate) fn file(name: &str) -> anyhow::Result<String> {
    Ok(embedded::stack_file(name)?.display().to_string())
}

/// The environment that was named, or the only one that is up here.
pub(crate) fn find(named: Option<Kind>, shell: Shell) -> anyhow::Result<Environment> {
    check_name()?;
    let mut up = Vec::new();
    for kind in [Kind::Training, Kind::Production] {
        let environment = Environment { kind, shell };
        if environment.is_up()? {
            up.push(environment);
        }
    }
    match (named, up.as_slice()) {
        (Some(kind), [other])
            if other.kind != kind && other.name() == (Environment { kind, shell }).name() =>
        {
            bail!(
                "{} is up as {}, and not as {}",
                other.name(),
                other.kind.name(),
                kind.name()
            )
        }
        (Some(kind), _) => Ok(Environment { kind, shell }),
        (None, [environment]) => Ok(*environment),
        (None, []) => bail!("no environment is up on this machine: platformer up"),
        (None, _) => bail!(
            "training and production are both up here: say which, as in --environment training"
        ),
    }
}

/// Names of networks, volumes and stacks begin with it, so it must be one that all of them can have.
pub(crate) fn check_name() -> anyhow::Result<()> {
    let Ok(name) = std::env::var("PLATFORM_NAME") else {
        return Ok(());
    };
    let is_one = name.len() <= 20
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    ensure!(
        is_one,
        "PLATFORM_NAME is {name:?}: use up to twenty of a-z, 0-9 and -, as in training-2"
    );
    Ok(())
}

/// An app that may be deployed.
pub(crate) fn app_name(text: &str) -> anyhow::Result<AppName> {
    let app: AppName = text.parse()?;
    ensure!(
        !RESERVED.contains(&app.as_str()),
        "{app} is the name of a part of the platform: give the app another one"
    );
    Ok(app)
}
