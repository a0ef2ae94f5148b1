//! `platformer config get|set|edit|diff|put`: layers of an app's config. A change takes effect with the next deploy.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use repository_api::config::{self, is_variable_name};
use repository_api::release::LayerName;
use repository_api::{AppName, Reference, routes};
use serde::Serialize;
use similar::TextDiff;

use crate::engine;
use crate::environment::{self, Environment};
use crate::output::{json, print};
use crate::release_spec::merged_config;
use crate::replica_set;
use crate::repository::Repository;

#[derive(Debug)]
pub(crate) enum Action {
    /// Prints a layer, or all layers merged.
    Get { json: bool },
    /// Sets each `NAME=value` in a layer.
    Set(Vec<String>),
    /// Opens a layer in `$EDITOR`.
    Edit,
    /// Prints the changes that the next deploy would make.
    Diff,
    /// Replaces a layer with a file.
    Put(PathBuf),
}

/// The output of `config get --json`.
#[derive(Debug, Serialize)]
struct Output {
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
    let target = layer.clone().unwrap_or(LayerName::App);
    match action {
        Action::Get { json } => get(environment, &repository, &app, layer.as_ref(), *json),
        Action::Diff => diff(environment, &repository, &app),
        Action::Set(assignments) => {
            let before = read(&repository, &app, &target)?;
            let after = set(&before, assignments)?;
            write(environment, &repository, &app, &target, &before, &after)
        }
        Action::Edit => {
            let before = read(&repository, &app, &target)?;
            let after = edit(&before)?;
            write(environment, &repository, &app, &target, &before, &after)
        }
        Action::Put(path) => {
            let before = read(&repository, &app, &target)?;
            let after = fs::read_to_string(path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            write(environment, &repository, &app, &target, &before, &after)
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
        format!("{app} has no such config yet: run platformer config set {app} NAME=value")
    })?;
    if as_json {
        return json(&Output::new(environment.layer(), app, layer, &text)?);
    }
    print(text.trim_end());
    Ok(())
}

impl Output {
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
        print("the config is unchanged");
        return Ok(());
    }
    // Someone may have written the layer while the user edited it.
    if read(repository, app, layer)? != before {
        bail!("someone else changed layer {layer} of {app} in the meantime: run the command again");
    }
    let takes_effect = match layer {
        LayerName::Environment(name) => name.as_str() == environment.layer(),
        LayerName::Default | LayerName::App => true,
    };
    let note = if takes_effect {
        format!(
            "takes effect with the next deploy of {app}: platformer config diff {app} shows the changes"
        )
    } else {
        format!(
            "apps in {} do not use layer {layer}: it belongs to another environment",
            environment.layer()
        )
    };
    let put = repository.put_text(&routes::config(app, layer), after);
    let report = put.then(move |answer| {
        print(&answer);
        print(&note);
        Ok(())
    });
    report.apply(environment.shell).map(drop)
}

/// Adds the assignments to the text. Each replaces an earlier assignment to the same name, or goes to the end.
fn set(text: &str, assignments: &[String]) -> anyhow::Result<String> {
    ensure!(
        !assignments.is_empty(),
        "config set needs an assignment: platformer config set APP NAME=value"
    );
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for assignment in assignments {
        let (name, value) = assignment
            .split_once('=')
            .filter(|(name, _)| is_variable_name(name.as_bytes()))
            .with_context(|| {
                format!(
                    "{:?} isn't NAME=value, such as GREETING=Hi",
                    assignment.split('=').next().unwrap_or_default()
                )
            })?;
        let line = format!("{name}={}", config::quote(value));
        let known = config::parse(lines.join("\n").as_bytes())
            .context("the current layer does not parse: fix it with platformer config edit")?;
        let known = known.assignments.iter().find(|known| known.name == name);
        match known {
            None => lines.push(line),
            Some(known) => {
                let place = known.line - 1;
                let alone = config::parse(lines[place].as_bytes());
                ensure!(
                    alone.is_ok_and(|config| config.assignments.len() == 1),
                    "{name} has a value of several lines: change it with platformer config edit"
                );
                lines[place] = line;
            }
        }
    }
    let text = lines.join("\n") + "\n";
    config::parse(text.as_bytes()).context("the new config does not parse")?;
    Ok(text)
}

fn edit(text: &str) -> anyhow::Result<String> {
    let file = tempfile::Builder::new()
        .suffix(".config")
        .tempfile()
        .context("failed to create a temporary file")?;
    fs::write(file.path(), text)?;
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    loop {
        // `$EDITOR` may have options, such as `code --wait`.
        let status = Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "sh"])
            .arg(file.path())
            .status()
            .with_context(|| format!("failed to start {editor}"))?;
        ensure!(
            status.success(),
            "{editor} failed ({status}): the config is unchanged"
        );
        let after = fs::read_to_string(file.path()).context("failed to read the edited config")?;
        let Err(error) = config::parse(after.as_bytes()) else {
            return Ok(after);
        };
        print(&error.to_string());
        ensure!(
            after != text && !is_input_over(),
            "the new config does not parse, so the config is unchanged"
        );
    }
}

/// Asks whether to edit again. Returns whether standard input has ended.
fn is_input_over() -> bool {
    print("press Enter to edit the config again, or Ctrl-C to stop");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok_and(|read| read == 0)
}

/// Compares the config of the running release with the newest config.
fn diff(environment: Environment, repository: &Repository, app: &AppName) -> anyhow::Result<()> {
    let sets = engine::of(environment).replica_sets(Some(app))?;
    let live = replica_set::live(&sets)
        .with_context(|| format!("{app} isn't running, so there is no config to compare with"))?;
    let release = Reference::Release(live.release.parse()?);
    let running = merged_config(&repository.release(app, &release)?)?;
    let path = format!("/config/{app}/?environment={}", environment.layer());
    let newest = repository.text(&path, "text/plain")?.unwrap_or_default();
    let newest = config::parse(newest.as_bytes()).context("the newest config does not parse")?;
    let next = config::merge([&newest]);
    let (running, next) = (rendered(&running), rendered(&next));
    if running == next {
        print(&format!("{} runs with the newest config", live.release));
        return Ok(());
    }
    let diff = TextDiff::from_lines(&running, &next);
    let shown = diff
        .unified_diff()
        .context_radius(0)
        .header(&live.release, "the next deploy")
        .to_string();
    print(shown.trim_end());
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
        let shown = |layer| Output::new("training", &app, layer, text).unwrap();
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
    fn set_changes_nothing_else() {
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
    fn a_refused_assignment_gets_a_reason_without_its_value() {
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
        // The value may be a secret.
        assert!(
            !with("A=1\n", "1A=hunter2")
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
    }
}
