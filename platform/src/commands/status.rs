//! `platformer status`: each app's running release beside the release that its channel names.

use std::collections::BTreeSet;

use repository_api::AppName;

use crate::engine;
use crate::environment::Environment;
use crate::output::{print, table};
use crate::replica_set::ReplicaSet;
use crate::repository::Repository;

const NOTHING: &str = "-";

pub(crate) fn run(environment: Environment) -> anyhow::Result<()> {
    let engine = engine::of(environment);
    let sets = engine.replica_sets(None)?;
    let repository = Repository::of(environment)?;
    let port = environment.http_port()?;
    let running = sets.iter().map(|set| set.app.clone());
    let apps: BTreeSet<String> = repository.apps()?.into_iter().chain(running).collect();
    let mut rows = Vec::new();
    for app in apps {
        let name: AppName = app.parse()?;
        let wanted = repository.channel(&name, environment.channel())?;
        let wanted = wanted.map_or_else(|| NOTHING.to_owned(), |release| release.to_string());
        let sets: Vec<&ReplicaSet> = sets.iter().filter(|set| set.app == app).collect();
        if sets.is_empty() && wanted == NOTHING {
            // The app is published, but was never deployed here.
            continue;
        }
        let address = format!("http://{app}.localhost:{port}/");
        if sets.is_empty() {
            let channel = environment.channel();
            rows.push(vec![
                app,
                NOTHING.into(),
                wanted,
                "0/0".into(),
                format!("not running: platformer deploy {name}@{channel}"),
                address,
            ]);
            continue;
        }
        for set in sets {
            let is_drift = set.release != wanted;
            rows.push(vec![
                set.app.clone(),
                set.release.clone(),
                format!("{wanted}{}", if is_drift { " (drift)" } else { "" }),
                format!("{}/{}", set.ready, set.desired),
                health(set),
                address.clone(),
            ]);
        }
    }
    for container in engine.idle_containers()? {
        rows.push(vec![
            container.app,
            container.release,
            NOTHING.into(),
            NOTHING.into(),
            "no traffic: a deploy is running, or was interrupted".into(),
            container.name,
        ]);
    }
    if rows.is_empty() {
        print(
            "no app is deployed yet: run platformer publish APP PATH VERSION, then platformer deploy APP@VERSION",
        );
        return Ok(());
    }
    table(
        &["APP", "RELEASE", "WANTED", "REPLICAS", "HEALTH", "ADDRESS"],
        &rows,
    );
    Ok(())
}

fn health(set: &ReplicaSet) -> String {
    match &set.problem {
        Some(problem) => problem.clone(),
        None if set.desired == 0 => "scaled to 0".to_owned(),
        None if set.ready == set.desired => "ready".to_owned(),
        None => "starting".to_owned(),
    }
}
