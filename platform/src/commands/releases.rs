//! `platformer releases APP`: the releases of an app, and which of them is running.

use crate::engine;
use crate::environment::{self, Environment};
use crate::output::{print, table};
use crate::repository::Repository;

pub(crate) fn run(environment: Environment, app: &str) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let repository = Repository::of(environment)?;
    let sets = engine::of(environment).replica_sets(Some(&app))?;
    let releases = repository.releases(&app)?;
    if releases.is_empty() {
        print(&format!(
            "{app} has no release yet: platformer deploy {app}@VERSION creates one"
        ));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = releases
        .into_iter()
        .map(|release| {
            let is_running = sets.iter().any(|set| set.release == release.number);
            vec![
                release.number,
                release.version,
                release.created,
                release.by,
                if is_running { "running" } else { "" }.to_owned(),
                release.channels.join(" "),
            ]
        })
        .collect();
    table(
        &["RELEASE", "VERSION", "CREATED", "BY", "", "CHANNELS"],
        &rows,
    );
    Ok(())
}
