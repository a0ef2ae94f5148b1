//! `platformer status`: which releases run, and which should run.

use std::collections::BTreeSet;

use repository_api::AppName;
use serde::Serialize;

use crate::engine;
use crate::environment::Environment;
use crate::output::{json, print, table};
use crate::replica_set::ReplicaSet;
use crate::repository::Repository;

const NOTHING: &str = "-";

/// The output with `--json`.
#[derive(Debug, Serialize)]
struct Status {
    environment: String,
    /// One entry for each set of containers of an app; usually an app has one set.
    apps: Vec<Entry>,
    /// Containers of a deploy that is under way or was interrupted.
    without_traffic: Vec<Leftover>,
}

#[derive(Debug, Serialize)]
struct Entry {
    app: String,
    /// `null` if no container runs.
    release: Option<String>,
    /// The release that the channel of the environment points at.
    wanted_release: Option<String>,
    /// Whether containers run another release than the wanted one.
    drift: bool,
    ready: usize,
    wanted: usize,
    health: Health,
    /// The reason why containers are not ready.
    message: Option<String>,
    address: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Ready,
    Starting,
    Failing,
    ScaledToZero,
    NotRunning,
}

#[derive(Debug, Serialize)]
struct Leftover {
    app: String,
    release: String,
    container: String,
}

pub(crate) fn run(environment: Environment, as_json: bool) -> anyhow::Result<()> {
    let status = read(environment)?;
    if as_json {
        return json(&status);
    }
    if status.apps.is_empty() && status.without_traffic.is_empty() {
        print(
            "no app is deployed yet: run platformer publish APP PATH VERSION, then platformer deploy APP@VERSION",
        );
        return Ok(());
    }
    let apps = status
        .apps
        .into_iter()
        .map(|app| app.row(environment.channel()));
    let leftovers = status.without_traffic.into_iter().map(Leftover::row);
    let rows: Vec<Vec<String>> = apps.chain(leftovers).collect();
    table(
        &["APP", "RELEASE", "WANTED", "REPLICAS", "HEALTH", "ADDRESS"],
        &rows,
    );
    Ok(())
}

fn read(environment: Environment) -> anyhow::Result<Status> {
    let engine = engine::of(environment);
    let sets = engine.replica_sets(None)?;
    let repository = Repository::of(environment)?;
    let port = environment.http_port()?;
    let names: BTreeSet<String> = repository
        .apps()?
        .into_iter()
        .chain(sets.iter().map(|set| set.app.clone()))
        .collect();
    let mut apps = Vec::new();
    for name in names {
        let app: AppName = name.parse()?;
        let wanted = repository.channel(&app, environment.channel())?;
        let wanted = wanted.map(|release| release.to_string());
        let address = format!("http://{app}.localhost:{port}/");
        let sets: Vec<&ReplicaSet> = sets.iter().filter(|set| set.app == name).collect();
        // An app that was published but never deployed here has neither.
        if sets.is_empty() && wanted.is_some() {
            apps.push(Entry::not_running(name, wanted.clone(), address.clone()));
        }
        for set in sets {
            apps.push(Entry::running(set, wanted.clone(), address.clone()));
        }
    }
    let idle = engine.idle_containers()?.into_iter();
    let without_traffic = idle.map(|container| Leftover {
        app: container.app,
        release: container.release,
        container: container.name,
    });
    Ok(Status {
        environment: environment.name().to_owned(),
        apps,
        without_traffic: without_traffic.collect(),
    })
}

impl Entry {
    fn not_running(app: String, wanted_release: Option<String>, address: String) -> Self {
        Self {
            app,
            release: None,
            wanted_release,
            drift: false,
            ready: 0,
            wanted: 0,
            health: Health::NotRunning,
            message: None,
            address,
        }
    }

    fn running(set: &ReplicaSet, wanted_release: Option<String>, address: String) -> Self {
        Self {
            app: set.app.clone(),
            release: Some(set.release.clone()),
            drift: wanted_release.as_ref() != Some(&set.release),
            wanted_release,
            ready: set.ready,
            wanted: set.desired,
            health: Health::of(set),
            message: set.problem.clone(),
            address,
        }
    }

    fn row(self, channel: &str) -> Vec<String> {
        let health = match (self.message, self.health) {
            (Some(message), _) => message,
            (None, Health::NotRunning) => {
                format!("not running: platformer deploy {}@{channel}", self.app)
            }
            (None, Health::ScaledToZero) => "scaled to 0".to_owned(),
            (None, Health::Ready) => "ready".to_owned(),
            (None, Health::Starting | Health::Failing) => "starting".to_owned(),
        };
        let wanted = self.wanted_release.unwrap_or_else(|| NOTHING.to_owned());
        vec![
            self.app,
            self.release.unwrap_or_else(|| NOTHING.to_owned()),
            if self.drift {
                format!("{wanted} (drift)")
            } else {
                wanted
            },
            format!("{}/{}", self.ready, self.wanted),
            health,
            self.address,
        ]
    }
}

impl Health {
    fn of(set: &ReplicaSet) -> Self {
        if set.problem.is_some() {
            Self::Failing
        } else if set.desired == 0 {
            Self::ScaledToZero
        } else if set.ready == set.desired {
            Self::Ready
        } else {
            Self::Starting
        }
    }
}

impl Leftover {
    fn row(self) -> Vec<String> {
        vec![
            self.app,
            self.release,
            NOTHING.to_owned(),
            NOTHING.to_owned(),
            "no traffic: a deploy is running, or was interrupted".to_owned(),
            self.container,
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::replica_set::Colour;

    #[test]
    fn the_json_has_its_documented_fields() {
        let set = ReplicaSet {
            app: "hello-world".into(),
            release: "r1".into(),
            colour: Colour::Blue,
            ready: 0,
            desired: 1,
            problem: Some("Exited (1)".into()),
        };
        let address = || "http://hello-world.localhost:8080/".to_owned();
        let status = Status {
            environment: "training".into(),
            apps: vec![
                Entry::running(&set, Some("r2".into()), address()),
                Entry::not_running("bakery".into(), Some("r3".into()), address()),
            ],
            without_traffic: vec![Leftover {
                app: "hello-world".into(),
                release: "r2".into(),
                container: "hello-world-green-1".into(),
            }],
        };
        assert_eq!(
            serde_json::to_value(status).unwrap(),
            json!({
                "environment": "training",
                "apps": [
                    {
                        "app": "hello-world",
                        "release": "r1",
                        "wanted_release": "r2",
                        "drift": true,
                        "ready": 0,
                        "wanted": 1,
                        "health": "failing",
                        "message": "Exited (1)",
                        "address": "http://hello-world.localhost:8080/",
                    },
                    {
                        "app": "bakery",
                        "release": null,
                        "wanted_release": "r3",
                        "drift": false,
                        "ready": 0,
                        "wanted": 0,
                        "health": "not_running",
                        "message": null,
                        "address": "http://hello-world.localhost:8080/",
                    },
                ],
                "without_traffic": [
                    { "app": "hello-world", "release": "r2", "container": "hello-world-green-1" },
                ],
            })
        );
    }

    #[test]
    fn health_follows_from_the_counts() {
        let set = |ready, desired| ReplicaSet {
            app: "hello-world".into(),
            release: "r1".into(),
            colour: Colour::Green,
            ready,
            desired,
            problem: None,
        };
        assert_eq!(Health::of(&set(2, 2)), Health::Ready);
        assert_eq!(Health::of(&set(1, 2)), Health::Starting);
        assert_eq!(Health::of(&set(0, 0)), Health::ScaledToZero);
    }
}
