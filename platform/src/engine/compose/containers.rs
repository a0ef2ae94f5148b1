//! The containers of apps, as `docker ps` lists them.

use repository_api::AppName;

use crate::engine::readiness::health_check;
use crate::environment::Environment;
use crate::replica_set::{Colour, ReplicaSet};
use crate::shell::CommandLine;

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) release: String,
    pub(super) colour: Colour,
    pub(super) is_running: bool,
    /// The status text of `docker ps`.
    status: String,
    /// Whether the container is on the front network, where the load balancer finds it.
    pub(super) has_traffic: bool,
}

impl Container {
    /// The result of Docker's last health check or, before the first one, of a check now.
    fn is_ready(&self) -> anyhow::Result<bool> {
        if !self.is_running || self.status.contains("unhealthy") {
            return Ok(false);
        }
        if !self.status.contains("starting") {
            return Ok(true);
        }
        Ok(health_check(&self.name).probe()?.is_success())
    }
}

/// The containers of one app, or of all apps, without those of `platformer run`.
pub(super) fn list(
    environment: Environment,
    app: Option<&AppName>,
) -> anyhow::Result<Vec<Container>> {
    const FORMAT: &str = "{{.Names}}\t{{.Label \"platform.app\"}}\t{{.Label \"platform.release\"}}\t{{.Label \"platform.colour\"}}\t{{.State}}\t{{.Status}}\t{{.Networks}}";
    let line = CommandLine::docker(["ps", "--all", "--no-trunc", "--format", FORMAT]);
    let mut line = environment
        .filter_part(line, "app")
        .filter_label("com.docker.compose.oneoff", "False");
    if let Some(app) = app {
        line = line.filter_label("platform.app", app);
    }
    let front = environment.front();
    let mut containers: Vec<Container> = line
        .read()?
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
                has_traffic: next()?.split(',').any(|network| network == front),
            })
        })
        .collect();
    containers.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(containers)
}

/// The sets of replicas with traffic.
pub(super) fn replica_sets(
    environment: Environment,
    app: Option<&AppName>,
) -> anyhow::Result<Vec<ReplicaSet>> {
    let mut sets: Vec<ReplicaSet> = Vec::new();
    for container in list(environment, app)? {
        if !container.has_traffic {
            continue;
        }
        let known = sets
            .iter()
            .position(|set| set.app == container.app && set.colour == container.colour);
        let index = known.unwrap_or_else(|| {
            sets.push(ReplicaSet {
                app: container.app.clone(),
                release: container.release.clone(),
                colour: container.colour,
                ready: 0,
                desired: 0,
                problem: None,
            });
            sets.len() - 1
        });
        let set = &mut sets[index];
        set.desired += 1;
        if container.is_ready()? {
            set.ready += 1;
        } else {
            set.problem = Some(container.status);
        }
    }
    Ok(sets)
}
