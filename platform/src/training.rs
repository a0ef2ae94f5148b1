//! Training: one machine, Compose. Each colour of an app is a Compose project of its own.
//!
//! An app's containers join the front network, and with it the load balancer's sight, when they are ready.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use repository_api::AppName;

use crate::deploy::{NotReady, prove};
use crate::environment::{self, Environment};
use crate::plan::Plan;
use crate::running::{Colour, Running};
use crate::say::say;
use crate::shell::Line;

/// After which the load balancer knows who is there: nginx counts whole seconds, so what is valid for one second is
/// used for up to two.
pub(crate) const NOTICE: Duration = Duration::from_millis(2200);

/// A container of an app.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) release: String,
    pub(crate) colour: Colour,
    pub(crate) is_running: bool,
    /// As `docker ps` tells it.
    status: String,
    /// Whether the load balancer can see it.
    pub(crate) is_in_front: bool,
}

impl Container {
    /// As Docker's last look says, and where it has not looked yet, as the health check says now.
    fn is_ready(&self, environment: Environment) -> anyhow::Result<bool> {
        if !self.is_running || self.status.contains("unhealthy") {
            return Ok(false);
        }
        if !self.status.contains("starting") {
            return Ok(true);
        }
        let line =
            Line::docker(["exec", &self.name]).and(["/usr/local/bin/bootstrap", "healthcheck"]);
        Ok(environment.shell.try_ask(&line)?.is_ok())
    }
}

/// `docker compose` where it is there, and `docker-compose` otherwise.
pub(crate) fn compose() -> Line {
    static IS_A_PLUGIN: OnceLock<bool> = OnceLock::new();
    let is_a_plugin = IS_A_PLUGIN.get_or_init(|| {
        Command::new("docker")
            .args(["compose", "version"])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if *is_a_plugin {
        Line::docker(["compose"])
    } else {
        Line::new(["docker-compose"])
    }
}

/// `docker-compose` on the files of the platform itself.
pub(crate) fn platform(environment: Environment) -> anyhow::Result<Line> {
    Ok(compose()
        .variable("PLATFORM_NAME", environment.name())
        .and(["-p", environment.name()])
        .and(["-f".to_owned(), environment::file("platform.yml")?])
        .and(["-f".to_owned(), environment::file("training.yml")?]))
}

/// `docker-compose` on the files of an app, as a project for `suffix`.
pub(crate) fn project(
    environment: Environment,
    plan: &Plan,
    suffix: &str,
    patience: Duration,
) -> anyhow::Result<Line> {
    let mut line = compose()
        .variables(&plan.variables(environment, suffix, 1, patience))
        .and([
            "-p",
            &format!("{}-{}-{suffix}", environment.name(), plan.app),
        ])
        .and(["-f".to_owned(), environment::file("app.yml")?])
        .and(["-f".to_owned(), environment::file("app.training.yml")?]);
    if let Some(overlay) = plan.overlay(environment, &std::collections::BTreeMap::new()) {
        let path = environment.directory()?.join(format!("{}.yml", plan.app));
        fs::write(&path, overlay).with_context(|| format!("failed to write {}", path.display()))?;
        line = line.and(["-f".to_owned(), path.display().to_string()]);
    }
    Ok(line)
}

/// The containers of one app, or of all.
pub(crate) fn containers(
    environment: Environment,
    app: Option<&AppName>,
) -> anyhow::Result<Vec<Container>> {
    const FORMAT: &str = "{{.Names}}\t{{.Label \"platform.app\"}}\t{{.Label \"platform.release\"}}\t{{.Label \"platform.colour\"}}\t{{.State}}\t{{.Status}}\t{{.Networks}}";
    let mut line = Line::docker(["ps", "--all", "--no-trunc", "--format", FORMAT])
        .and(environment.filters("app"))
        // Not what `platformer run` has started.
        .and(["--filter", "label=com.docker.compose.oneoff=False"]);
    if let Some(app) = app {
        line = line.and(["--filter".to_owned(), format!("label=platform.app={app}")]);
    }
    let front = environment.front();
    let mut containers: Vec<Container> = environment
        .shell
        .ask(&line)?
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().map(str::to_owned);
            Some(Container {
                name: next()?,
                app: next()?,
                release: next()?,
                colour: next()?.parse().ok()?,
                is_running: next()? == "running",
                status: next()?,
                is_in_front: next()?.split(',').any(|network| network == front),
            })
        })
        .collect();
    containers.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(containers)
}

/// Each app that has containers, by what is in front.
pub(crate) fn running(
    environment: Environment,
    app: Option<&AppName>,
) -> anyhow::Result<Vec<Running>> {
    let mut found: Vec<Running> = Vec::new();
    for container in containers(environment, app)? {
        if !container.is_in_front {
            continue;
        }
        let known = found
            .iter()
            .position(|running| running.app == container.app && running.colour == container.colour);
        let index = known.unwrap_or_else(|| {
            found.push(Running {
                app: container.app.clone(),
                release: container.release.clone(),
                colour: container.colour,
                ready: 0,
                wanted: 0,
                trouble: None,
            });
            found.len() - 1
        });
        let running = &mut found[index];
        running.wanted += 1;
        if container.is_ready(environment)? {
            running.ready += 1;
        } else {
            running.trouble = Some(container.status.clone());
        }
    }
    Ok(found)
}

/// Takes containers away: whoever begins a connection is sent to the others at once, what is under way has
/// its drain and its grace.
pub(crate) fn retire(environment: Environment, names: &[String]) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let shell = environment.shell;
    for container in names {
        // Docker's DNS tells of it until it has ended; so it is the container that says no.
        let refusal = Line::docker(["run", "--rm", "--user", "0", "--cap-add", "NET_ADMIN"])
            .and(["--network", &format!("container:{container}")])
            .and([
                &environment.image("platformer/toolbox")?,
                "refuse-connections",
                "8080",
            ]);
        // One that has ended already has no network to be joined.
        if let Err(error) = shell.act(&refusal)
            && is_running(environment, container)?
        {
            return Err(error.context(format!("{container} could not be drained, and serves on")));
        }
    }
    remove(environment, names)
}

fn is_running(environment: Environment, container: &str) -> anyhow::Result<bool> {
    let line = Line::docker(["inspect", "--format", "{{.State.Running}}", container]);
    Ok(environment
        .shell
        .try_ask(&line)?
        .is_ok_and(|state| state == "true"))
}

/// Stops and removes containers that nobody is sent to.
pub(crate) fn remove(environment: Environment, names: &[String]) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let shell = environment.shell;
    shell.act(&Line::docker(["stop"]).and(names.iter().cloned()))?;
    shell.act(&Line::docker(["rm", "--force", "--volumes"]).and(names.iter().cloned()))?;
    if !shell.dry_run {
        // Until the load balancer has forgotten their addresses, nobody else gets them from here.
        std::thread::sleep(NOTICE);
    }
    Ok(())
}

/// Shows a container to the load balancer.
pub(crate) fn show(environment: Environment, app: &AppName, container: &str) -> anyhow::Result<()> {
    environment.shell.act(
        &Line::docker([
            "network",
            "connect",
            "--alias",
            &format!("{app}.apps.platform"),
        ])
        .and([environment.front(), container.to_owned()]),
    )?;
    Ok(())
}

/// Brings `colour` to so many replicas, and shows the new ones to the load balancer when they are ready.
pub(crate) fn start(
    environment: Environment,
    plan: &Plan,
    colour: Colour,
    replicas: usize,
    patience: Duration,
) -> anyhow::Result<Result<(), NotReady>> {
    let shell = environment.shell;
    shell.act(
        &project(environment, plan, colour.as_str(), patience)?
            .and(["up", "-d", "--no-recreate", "--scale"])
            .and([format!("app={replicas}")]),
    )?;
    let new: Vec<String> = if shell.dry_run {
        // As they would be called.
        (1..=replicas)
            .map(|number| format!("{}-{}-{colour}_app_{number}", environment.name(), plan.app))
            .collect()
    } else {
        containers(environment, Some(&plan.app))?
            .into_iter()
            .filter(|container| container.colour == colour && !container.is_in_front)
            .map(|container| container.name)
            .collect()
    };
    if shell.dry_run {
        for container in &new {
            say(&format!(
                "docker exec {container} /usr/local/bin/bootstrap healthcheck  # until it is ready"
            ));
        }
    } else if let Err(not_ready) = prove(environment, &new, patience)? {
        return Ok(Err(not_ready));
    }
    for container in &new {
        show(environment, &plan.app, container)?;
    }
    if !shell.dry_run {
        std::thread::sleep(NOTICE);
    }
    Ok(Ok(()))
}
