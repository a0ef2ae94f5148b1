//! Blue-green deploys: a second set of replicas starts without traffic, joins the front network when it is ready, and
//! then the first set drains.

use std::time::Duration;

use repository_api::AppName;

use super::containers::{self, Container};
use super::{health, is_plugin, project, project_name};
use crate::engine::contract::{DNS_REFRESH, Rollout};
use crate::engine::readiness::health_check;
use crate::environment::Environment;
use crate::release_spec::ReleaseSpec;
use crate::replica_set::{self, Colour, ReplicaSet};
use crate::shell::{CommandLine, SLOW, STOP};
use crate::step::{Step, apply_all};

pub(super) fn start(environment: Environment, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
    let live = replica_set::live(rollout.before);
    let colour = live.map_or(Colour::Blue, |live| live.colour.other());
    let replicas = live.map_or(1, |live| live.desired.max(1));
    let app = &rollout.spec.app;
    // An interrupted deploy leaves containers of this colour or without traffic.
    let leftovers = names(containers::list(environment, Some(app))?, |container| {
        container.colour == colour || !container.has_traffic || !container.is_running
    });
    let mut steps = remove(environment, leftovers);
    let numbers = (1, replicas);
    steps.extend(add(
        environment,
        rollout.spec,
        colour,
        numbers,
        rollout.timeout,
    )?);
    Ok(steps)
}

pub(super) fn retire(environment: Environment, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
    let Some(live) = replica_set::live(rollout.before) else {
        return Ok(Vec::new());
    };
    let containers = containers::list(environment, Some(&rollout.spec.app))?;
    let old = names(containers, |container| {
        container.colour == live.colour && container.has_traffic && container.is_running
    });
    if old.is_empty() {
        return Ok(Vec::new());
    }
    let mut steps = vec![Step::report(
        "the new replicas are ready; the old ones drain",
    )];
    steps.extend(drain(environment, old)?);
    Ok(steps)
}

pub(super) fn scale(
    environment: Environment,
    app: &AppName,
    live: Option<&ReplicaSet>,
    replicas: usize,
    timeout: Duration,
) -> anyhow::Result<Vec<Step>> {
    let now = live.map_or(0, |live| live.desired);
    if replicas > now {
        let colour = live.map_or(Colour::Blue, |live| live.colour);
        let spec = ReleaseSpec::current(environment, app, live)?;
        return add(environment, &spec, colour, (now + 1, replicas), timeout);
    }
    let mut containers = containers::list(environment, Some(app))?;
    // Containers that do not serve go first.
    containers.sort_by_key(|container| {
        let is_live = live.is_some_and(|live| live.colour == container.colour);
        !(is_live && container.is_running)
    });
    let surplus = names(containers, |container| container.has_traffic);
    drain(environment, surplus.into_iter().skip(replicas).collect())
}

fn names(containers: Vec<Container>, filter: impl Fn(&Container) -> bool) -> Vec<String> {
    let chosen = containers.into_iter().filter(filter);
    chosen.map(|container| container.name).collect()
}

/// Adds the replicas with these numbers to a set: starts them, waits until they are ready, and gives them traffic.
fn add(
    environment: Environment,
    spec: &ReleaseSpec,
    colour: Colour,
    (first, last): (usize, usize),
    timeout: Duration,
) -> anyhow::Result<Vec<Step>> {
    let shell = environment.shell;
    let up = project(environment, spec, colour.as_str(), timeout)?
        .args(["up", "-d", "--no-recreate", "--scale"])
        .arg(format!("app={last}"))
        .timeout(SLOW);
    // Only for display: Compose chooses the names.
    let project = project_name(environment, spec.app.as_str(), colour.as_str());
    let separator = if is_plugin() { '-' } else { '_' };
    let expected =
        (first..=last).map(|number| format!("{project}{separator}app{separator}{number}"));
    let (mut checks, mut connects) = (Vec::new(), Vec::new());
    for container in expected {
        checks.push(format!("{}  # until it succeeds", health_check(&container)));
        connects.push(connect(environment, &spec.app, &container).to_string());
    }
    let app = spec.app.clone();
    let new = move || {
        let containers = containers::list(environment, Some(&app))?;
        anyhow::Ok(names(containers, |container| {
            container.colour == colour && !container.has_traffic
        }))
    };
    let (new_to_wait_for, app) = (new.clone(), spec.app.clone());
    let wait = Step::new(checks.join("\n"), move || {
        let containers = new_to_wait_for()?;
        health::wait(&containers, timeout).or_else(|error| {
            apply_all(remove(environment, containers), shell)?;
            Err(error)
        })
    });
    let give_traffic = Step::new(connects.join("\n"), move || {
        for container in new()? {
            shell.execute(&connect(environment, &app, &container))?;
        }
        Ok(())
    });
    let steps = vec![
        Step::command(shell, up),
        wait,
        give_traffic,
        wait_for_dns(environment),
    ];
    Ok(steps)
}

/// Adds a container to the front network, where the load balancer finds it.
fn connect(environment: Environment, app: &AppName, container: &str) -> CommandLine {
    CommandLine::docker(["network", "connect", "--alias"])
        .arg(format!("{app}.apps.platform"))
        .args([&environment.front(), container])
}

/// Ends traffic to containers and removes them. Requests in flight have the drain and the grace period.
fn drain(environment: Environment, containers: Vec<String>) -> anyhow::Result<Vec<Step>> {
    let shell = environment.shell;
    let mut steps = Vec::new();
    for container in &containers {
        // Docker's DNS lists a container until it has ended, so the container itself refuses new connections.
        let refuse = CommandLine::docker(["run", "--rm", "--user", "0", "--cap-add", "NET_ADMIN"])
            .args(["--network", &format!("container:{container}")])
            .arg(environment.image("platformer/toolbox")?)
            .args(["refuse-connections", "8080"])
            .timeout(SLOW);
        let container = container.clone();
        steps.push(Step::new(refuse.to_string(), move || {
            match shell.execute(&refuse) {
                // A container that has ended has no network to join, and no connections either.
                Err(error) if is_running(&container)? => {
                    Err(error.context(format!("failed to drain {container}, which keeps serving")))
                }
                _ => Ok(()),
            }
        }));
    }
    steps.extend(remove(environment, containers));
    Ok(steps)
}

fn is_running(container: &str) -> anyhow::Result<bool> {
    let line = CommandLine::docker(["inspect", "--format", "{{.State.Running}}", container]);
    Ok(line.probe()?.success().as_deref() == Some("true"))
}

/// Steps that stop and remove containers.
pub(super) fn remove(environment: Environment, containers: Vec<String>) -> Vec<Step> {
    if containers.is_empty() {
        return Vec::new();
    }
    let stop = CommandLine::docker(["stop"]).args(containers.clone());
    let remove = CommandLine::docker(["rm", "--force", "--volumes"]).args(containers);
    vec![
        Step::command(environment.shell, stop.timeout(STOP)),
        Step::command(environment.shell, remove.timeout(SLOW)),
        // New containers may get the addresses of these.
        wait_for_dns(environment),
    ]
}

/// Waits until the load balancer has asked Docker's DNS again.
fn wait_for_dns(environment: Environment) -> Step {
    let seconds = DNS_REFRESH.as_secs_f64().to_string();
    Step::command(environment.shell, CommandLine::new(["sleep", &seconds]))
}
