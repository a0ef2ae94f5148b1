//! `platformer secret set|list|remove`: secrets of an app, each of which becomes a variable at the app's next start.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, ensure};
use repository_api::config::is_variable_name;
use serde::Serialize;

use crate::engine;
use crate::environment::{self, Environment};
use crate::output::{json, print};
use crate::step::{Step, apply_all};

/// Variables that the image sets, or that would break the app's own start.
const RESERVED: [&str; 7] = [
    "PATH",
    "HOME",
    "HOSTNAME",
    "TERM",
    "PWD",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
];

/// Sets a secret to the text on standard input.
pub(crate) fn set(environment: Environment, app: &str, name: &str) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    ensure!(
        is_variable_name(name.as_bytes()),
        "{name:?} isn't the name of a variable: use A-Z, a-z, 0-9 and _, and don't begin with a digit"
    );
    ensure!(
        !RESERVED.contains(&name),
        "{name} is reserved for the image: give the secret another name"
    );
    if std::io::stdin().is_terminal() {
        print("type the value, then press Enter and Ctrl-D");
    }
    let mut value = Vec::new();
    std::io::stdin()
        .read_to_end(&mut value)
        .context("failed to read the value from standard input")?;
    ensure!(
        !value.is_empty(),
        "standard input is empty: run platformer secret set {app} {name} < FILE"
    );
    let mut steps = engine::of(environment).set_secret(&app, name, value)?;
    steps.push(Step::report(format!(
        "{name} is set; {app} gets it with its next deploy, or with platformer deploy {app}@{} --again",
        environment.channel()
    )));
    apply_all(steps, environment.shell)
}

/// The output of `secret list --json`.
#[derive(Debug, Serialize)]
struct Secrets {
    app: String,
    secrets: Vec<String>,
}

/// Prints the names of the secrets. No command prints their values.
pub(crate) fn list(environment: Environment, app: &str, as_json: bool) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let secrets = engine::of(environment).secret_names(&app)?;
    if as_json {
        let app = app.to_string();
        return json(&Secrets { app, secrets });
    }
    for name in secrets {
        print(&name);
    }
    Ok(())
}

pub(crate) fn remove(environment: Environment, app: &str, name: &str) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let engine = engine::of(environment);
    let names = engine.secret_names(&app)?;
    ensure!(
        names.iter().any(|known| known == name),
        "{app} has no secret {name}: platformer secret list {app} lists its secrets"
    );
    let mut steps = engine.remove_secret(&app, name)?;
    steps.push(Step::report(format!(
        "{name} is removed; running replicas of {app} have it until the next deploy"
    )));
    apply_all(steps, environment.shell)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_has_its_documented_fields() {
        let listed = Secrets {
            app: "hello-world".into(),
            secrets: vec!["DB_PASSWORD".into()],
        };
        assert_eq!(
            serde_json::to_value(listed).unwrap(),
            json!({ "app": "hello-world", "secrets": ["DB_PASSWORD"] })
        );
    }
}
