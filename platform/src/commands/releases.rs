//! `platformer releases APP`: the releases of an app, which of them runs, and the channels that point at them.

use serde::Serialize;

use crate::engine;
use crate::environment::{self, Environment};
use crate::output::{json, print, table};
use crate::repository::Repository;

/// The output with `--json`.
#[derive(Debug, Serialize)]
struct Releases {
    app: String,
    /// Newest first.
    releases: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    release: String,
    version: String,
    created: String,
    by: String,
    running: bool,
    channels: Vec<String>,
}

pub(crate) fn run(environment: Environment, app: &str, as_json: bool) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let repository = Repository::of(environment)?;
    let sets = engine::of(environment).replica_sets(Some(&app))?;
    let listed = repository.releases(&app)?;
    let releases = listed.into_iter().map(|listed| Entry {
        running: sets.iter().any(|set| set.release == listed.number),
        release: listed.number,
        version: listed.version,
        created: listed.created,
        by: listed.by,
        channels: listed.channels,
    });
    let found = Releases {
        app: app.to_string(),
        releases: releases.collect(),
    };
    if as_json {
        return json(&found);
    }
    if found.releases.is_empty() {
        print(&format!(
            "{app} has no release yet: platformer deploy {app}@VERSION creates one"
        ));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = found.releases.into_iter().map(row).collect();
    table(
        &["RELEASE", "VERSION", "CREATED", "BY", "", "CHANNELS"],
        &rows,
    );
    Ok(())
}

fn row(entry: Entry) -> Vec<String> {
    let running = if entry.running { "running" } else { "" };
    vec![
        entry.release,
        entry.version,
        entry.created,
        entry.by,
        running.to_owned(),
        entry.channels.join(" "),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_has_its_documented_fields() {
        let found = Releases {
            app: "hello-world".into(),
            releases: vec![Entry {
                release: "r1".into(),
                version: "1.0.0".into(),
                created: "2026-01-02T03:04:05Z".into(),
                by: "admin".into(),
                running: true,
                channels: vec!["training".into()],
            }],
        };
        assert_eq!(
            serde_json::to_value(found).unwrap(),
            json!({
                "app": "hello-world",
                "releases": [{
                    "release": "r1",
                    "version": "1.0.0",
                    "created": "2026-01-02T03:04:05Z",
                    "by": "admin",
                    "running": true,
                    "channels": ["training"],
                }],
            })
        );
    }
}
