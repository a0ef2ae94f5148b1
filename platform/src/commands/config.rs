//! `platformer config get|set|edit|diff|put`: layers of an app's config. What is written is live from the next deploy on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use repository_api::config::{self, is_variable_name};
use repository_api::release::LayerName;
use repository_api::{AppName, Reference, routes};
use serde::Serialize;
use similar::TextDiff;

use crate::deploy;
use crate::environment::{self, Environment};
use crate::plan::merged;
use crate::repository::Repository;
use crate::running;
use crate::say::{json, say};

/// What `platformer config` is told to do with an app's config.
#[derive(Debug)]
pub(crate) enum Action {
    /// Prints a layer, or all of them merged.
    Get { json: bool },
    /// `NAME=value`, each.
    Set(Vec<String>),
    /// In `$EDITOR`.
    Edit,
    /// What the next deploy would change.
    Diff,
    /// A file takes the layer's place.
    Put(std::path::PathBuf),
}

/// The answer of `config get --json`.
#[derive(Debug, Serialize)]
struct Shown {
    app: String,
    environment: String,
    /// `null` for all layers merged.
    layer: Option<String>,
    config: BTreeMap<String, String>,
}

pub(crate) fn run(
    environment: Environment,
    app: &str,
    layer: Option<&str>,
    action: &Action,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let repository = Repository::of(environment)?;
    let layer: Option<LayerName> = layer
        .map(|layer| LayerName::try_from(layer.to_owned()))
        .transpose()?;
    let own = layer.clone().unwrap_or(LayerName::App);
    match action {
        Action::Get { json } => get(environment, &repository, &app, layer.as_ref(), *json),
        Action::Diff => diff(environment, &repository, &app),
        Action::Set(assignments) => {
            let before = read(&repository, &app, &own)?;
            let after = set(&before, assignments)?;
            write(environment, &repository, &app, &own, &before, &after)
        }
        Action::Edit => {
            let before = read(&repository, &app, &own)?;
            let after = edit(&before)?;
            write(environment, &repository, &app, &own, &before, &after)
        }
        Action::Put(path) => {
            let before = read(&repository, &app, &own)?;
            let after = fs::read_to_string(path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            write(environment, &repository, &app, &own, &before, &after)
        }
    }
}

fn get(
    environment: Environment,
    repository: &Repository,
    app: &AppName,
    layer: Option<&LayerName>,
    as_json: bool,
) -> anyhow::Result<()> {
    let path = match layer {
        Some(layer) => routes::config(app, layer),
        None => format!("/config/{app}/?environment={}", environment.layer()),
    };
    let text = repository.text(&path, "text/plain")?.with_context(|| {
        format!("{app} has no such config yet: platformer config set {app} NAME=value")
    })?;
    if as_json {
        return json(&Shown::new(environment.layer(), app, layer, &text)?);
    }
    say(text.trim_end());
    Ok(())
}

impl Shown {
    fn new(
        environment: &str,
        app: &AppName,
        layer: Option<&LayerName>,
        text: &str,
    ) -> anyhow::Result<Self> {
        let parsed = config::parse(text.as_bytes()).context("the config does not parse")?;
        Ok(Self {
            app: app.to_string(),
            environment: environment.to_owned(),
            layer: layer.map(LayerName::to_string),
            config: config::merge([&parsed]),
        })
    }
}

fn read(repository: &Repository, app: &AppName, layer: &LayerName) -> anyhow::Result<String> {
    Ok(repository
        .text(&routes::config(app, layer), "text/plain")?
        .unwrap_or_default())
}

fn write(
    environment: Environment,
    repository: &Repository,
    app: &AppName,
    layer: &LayerName,
    before: &str,
    after: &str,
) -> anyhow::Result<()> {
    if before == after {
        say("nothing changes");
        return Ok(());
    }
    // Somebody else may have written since it was read.
    let route = routes::config(app, layer);
    if read(repository, app, layer)? != before {
        bail!("layer {layer} of {app} was changed by somebody else meanwhile: begin again");
    }
    if let Some(answer) = repository.put_text(&route, after, &[])? {
        say(&answer);
        let used = match layer {
            LayerName::Environment(name) => name.as_str() == environment.layer(),
            LayerName::Default | LayerName::App => true,
        };
        say(&if used {
            format!(
                "it is live from the next deploy of {app} on: platformer config diff {app} shows what that changes"
            )
        } else {
            format!(
                "apps in {} do not get layer {layer}: it is for another environment",
                environment.layer()
            )
        });
    }
    Ok(())
}

/// The text with these assignments: in the place of those of the same name, or behind all others.
fn set(text: &str, assignments: &[String]) -> anyhow::Result<String> {
    ensure!(
        !assignments.is_empty(),
        "what is to be set? write platformer config set APP NAME=value"
    );
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for assignment in assignments {
        let (name, value) = assignment
            .split_once('=')
            .filter(|(name, _)| is_variable_name(name.as_bytes()))
            .with_context(|| {
                format!(
                    "{:?} is no NAME=value, such as GREETING=Hi",
                    assignment.split('=').next().unwrap_or_default()
                )
            })?;
        let line = format!("{name}={}", config::quote(value));
        let known = config::parse(lines.join("\n").as_bytes())
            .context("the layer as it is does not parse: platformer config edit")?;
        let known = known.assignments.iter().find(|known| known.name == name);
        match known {
            None => lines.push(line),
            Some(known) => {
                let place = known.line - 1;
                let alone = config::parse(lines[place].as_bytes());
                ensure!(
                    alone.is_ok_and(|config| config.assignments.len() == 1),
                    "{name} is written over several lines: platformer config edit"
                );
                lines[place] = line;
            }
        }
    }
    let text = lines.join("\n") + "\n";
    config::parse(text.as_bytes()).context("the config would not parse")?;
    Ok(text)
}

fn edit(text: &str) -> anyhow::Result<String> {
    let file = tempfile::Builder::new()
        .suffix(".config")
        .tempfile()
        .context("failed to make a temporary file")?;
    fs::write(file.path(), text)?;
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    loop {
        // An editor may be given with options, as in `code --wait`.
        let status = Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "sh"])
            .arg(file.path())
            .status()
            .with_context(|| format!("failed to start {editor}"))?;
        ensure!(
            status.success(),
            "{editor} ended with {status}, nothing is changed"
        );
        let after = read_edited(file.path())?;
        let Err(error) = config::parse(after.as_bytes()) else {
            return Ok(after);
        };
        say(&format!("{error}"));
        if after == text {
            bail!("the config does not parse, and nothing is changed");
        }
        say("Enter edits again, Ctrl-C gives up");
        let mut answer = String::new();
        if std::io::stdin()
            .read_line(&mut answer)
            .is_ok_and(|read| read == 0)
        {
            bail!("the config does not parse, and nothing is changed");
        }
    }
}

fn read_edited(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).context("failed to read what was edited")
}

/// What runs beside what the next deploy would give the app.
fn diff(environment: Environment, repository: &Repository, app: &AppName) -> anyhow::Result<()> {
    let running = deploy::running(environment, app)?;
    let running = running::live(&running)
        .with_context(|| format!("nothing runs of {app}, so there is nothing to compare with"))?;
    let release = Reference::Release(running.release.parse()?);
    let now = merged(&repository.release(app, &release)?)?;
    let path = format!("/config/{app}/?environment={}", environment.layer());
    let newest = repository.text(&path, "text/plain")?.unwrap_or_default();
    let newest = config::parse(newest.as_bytes()).context("the newest config does not parse")?;
    let next = config::merge([&newest]);
    let (now, next) = (rendered(&now), rendered(&next));
    if now == next {
        say(&format!("{} runs with the newest config", running.release));
        return Ok(());
    }
    let diff = TextDiff::from_lines(&now, &next);
    let shown = diff
        .unified_diff()
        .context_radius(0)
        .header(&running.release, "the next deploy")
        .to_string();
    say(shown.trim_end());
    Ok(())
}

fn rendered(config: &BTreeMap<String, String>) -> String {
    config::render(
        config
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_has_its_documented_fields() {
        let app = "hello-world".parse().unwrap();
        let text = "# a comment\nGREETING='Good day'\n";
        let shown = |layer| Shown::new("training", &app, layer, text).unwrap();
        assert_eq!(
            serde_json::to_value(shown(Some(&LayerName::App))).unwrap(),
            json!({
                "app": "hello-world",
                "environment": "training",
                "layer": "app",
                "config": { "GREETING": "Good day" },
            })
        );
        assert_eq!(shown(None).layer, None);
    }

    fn with(text: &str, assignment: &str) -> anyhow::Result<String> {
        set(text, &[assignment.to_owned()])
    }

    #[test]
    fn set_leaves_everything_else_as_it_is() {
        let text = "# about\nA=1\nexport B='two'   # why\n";
        assert_eq!(
            with(text, "C=3 4").unwrap(),
            "# about\nA=1\nexport B='two'   # why\nC='3 4'\n"
        );
        assert_eq!(
            with(text, "A=$x").unwrap(),
            "# about\nA='$x'\nexport B='two'   # why\n"
        );
        assert_eq!(
            with("", "A=").unwrap().trim_end(),
            format!("A={}", config::quote(""))
        );
    }

    #[test]
    fn what_it_cannot_do_it_says() {
        assert!(
            with("A='1\n2'\n", "A=3")
                .unwrap_err()
                .to_string()
                .contains("several lines")
        );
        assert!(
            with("A=1\n", "1A=3")
                .unwrap_err()
                .to_string()
                .contains("NAME=value")
        );
        assert!(with("A=1\n", "A").is_err());
        // A value is never shown: it may be secret.
        assert!(
            !with("A=1\n", "1A=hunter2")
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
    }
}
