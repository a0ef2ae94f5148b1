//! `platformer status`: what runs, and what is to run.

use std::collections::BTreeSet;

use repository_api::AppName;

use crate::environment::{Environment, Kind};
use crate::repository::Repository;
use crate::running::Running;
use crate::say::{say, table};
use crate::shell::Line;
use crate::{production, training};

const NOTHING: &str = "-";

pub(crate) fn run(environment: Environment) -> anyhow::Result<()> {
    let running = match environment.kind {
        Kind::Training => training::running(environment, None)?,
        Kind::Production => production::running(environment, None)?,
    };
    let repository = Repository::of(environment)?;
    let port = port(environment)?;
    let apps: BTreeSet<String> = repository
        .apps()?
        .into_iter()
        .chain(running.iter().map(|running| running.app.clone()))
        .collect();
    let mut rows = Vec::new();
    for app in apps {
        let name: AppName = app.parse()?;
        let wanted = repository.channel(&name, environment.channel())?;
        let wanted = wanted.map_or_else(|| NOTHING.to_owned(), |release| release.to_string());
        let sets: Vec<&Running> = running
            .iter()
            .filter(|running| running.app == app)
            .collect();
        if sets.is_empty() && wanted == NOTHING {
            // Published, and never deployed here.
            continue;
        }
        let address = format!("http://{app}.localhost:{port}/");
        if sets.is_empty() {
            rows.push(vec![
                app,
                NOTHING.into(),
                wanted,
                "0/0".into(),
                format!(
                    "none runs: platformer deploy {name}@{}",
                    environment.channel()
                ),
                address,
            ]);
            continue;
        }
        for set in sets {
            rows.push(vec![
                set.app.clone(),
                set.release.clone(),
                if set.release == wanted {
                    wanted.clone()
                } else {
                    format!("{wanted} (drift)")
                },
                format!("{}/{}", set.ready, set.wanted),
                health(set),
                address.clone(),
            ]);
        }
    }
    if environment.kind == Kind::Training {
        for container in training::containers(environment, None)? {
            if !container.is_in_front {
                rows.push(vec![
                    container.app,
                    container.release,
                    NOTHING.into(),
                    NOTHING.into(),
                    "no traffic: a deploy is under way, or was interrupted".into(),
                    container.name,
                ]);
            }
        }
    }
    if rows.is_empty() {
        say(
            "nothing was deployed yet: platformer publish APP PATH VERSION, platformer deploy APP@VERSION",
        );
        return Ok(());
    }
    table(
        &["APP", "RELEASE", "WANTED", "REPLICAS", "HEALTH", "ADDRESS"],
        &rows,
    );
    Ok(())
}

fn health(running: &Running) -> String {
    match &running.trouble {
        Some(trouble) => trouble.clone(),
        None if running.wanted == 0 => "scaled to none".to_owned(),
        None if running.ready == running.wanted => "ready".to_owned(),
        None => "starting".to_owned(),
    }
}

/// Where the load balancer of this machine is reached.
pub(crate) fn port(environment: Environment) -> anyhow::Result<String> {
    const HOST_PORT: &str =
        "{{range $to := index .NetworkSettings.Ports \"8080/tcp\"}}{{println $to.HostPort}}{{end}}";
    let container = environment.container("loadbalancer")?;
    let line = Line::docker(["inspect", "--format", HOST_PORT, &container]);
    let ports = environment.shell.ask(&line)?;
    Ok(ports.lines().next().unwrap_or("8080").to_owned())
}
