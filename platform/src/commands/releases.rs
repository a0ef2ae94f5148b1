//! `platformer releases APP`: what there is, what runs, what was live.

use crate::deploy;
use crate::environment::{self, Environment};
use crate::repository::Repository;
use crate::say::{say, table};

pub(crate) fn run(environment: Environment, app: &str) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let repository = Repository::of(environment)?;
    let running = deploy::running(environment, &app)?;
    let listed = repository.releases(&app)?;
    if listed.is_empty() {
        say(&format!(
            "{app} has no release yet: platformer deploy {app}@VERSION makes one"
        ));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = listed
        .into_iter()
        .map(|release| {
            let runs = running
                .iter()
                .any(|running| running.release == release.number);
            vec![
                release.number,
                release.version,
                release.created,
                release.by,
                if runs {
                    "running".to_owned()
                } else {
                    String::new()
                },
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
