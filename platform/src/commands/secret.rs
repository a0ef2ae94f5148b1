//! `platformer secret set|list|remove`: a value from standard input, which becomes a variable of the app at its next start.
//!
//! In production it is a secret of Swarm's; these cannot be changed, so each value is a new one. In training it is a
//! file on a volume that only the app's user reads.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, ensure};
use repository_api::AppName;
use repository_api::config::is_variable_name;
use serde::Serialize;

use crate::environment::{self, Environment, Kind};
use crate::production;
use crate::say::{json, say};
use crate::shell::Line;

/// What an image sets, and what would make an app's own start impossible.
const TAKEN: [&str; 7] = [
    "PATH",
    "HOME",
    "HOSTNAME",
    "TERM",
    "PWD",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
];

/// The value goes in by standard input, and takes the old one's place at once.
const WRITE: &str = "cat > \"/secrets/.$1\" && chown 10001:10001 \"/secrets/.$1\" && chmod 0400 \"/secrets/.$1\" && mv \"/secrets/.$1\" \"/secrets/$1\"";

pub(crate) fn set(environment: Environment, app: &str, name: &str) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    ensure!(
        is_variable_name(name.as_bytes()),
        "{name:?} is no name of a variable: use A-Z, a-z, 0-9 and _, and begin with no digit"
    );
    ensure!(
        !TAKEN.contains(&name),
        "{name} is the image's own: give the secret another name"
    );
    if std::io::stdin().is_terminal() {
        say("type the value, then Enter and Ctrl-D");
    }
    let mut value = Vec::new();
    std::io::stdin()
        .read_to_end(&mut value)
        .context("failed to read the value")?;
    ensure!(
        !value.is_empty(),
        "there is no value on standard input: platformer secret set {app} {name} < FILE"
    );
    let shell = environment.shell;
    match environment.kind {
        Kind::Training => {
            let write = on_the_volume(environment, &app, true)?
                .and(["sh", "-c", WRITE, "sh", name])
                .secret(value);
            shell.act(&write)?;
        }
        Kind::Production => {
            let known = production::secrets(environment, &app)?;
            let number = known
                .get(name)
                .and_then(|stored| stored.rsplit_once('.')?.1.parse::<u64>().ok())
                .unwrap_or_default()
                + 1;
            shell.act(
                &Line::docker(["secret", "create"])
                    .and([
                        "--label",
                        &format!("platform.environment={}", environment.name()),
                    ])
                    .and(["--label", "platform.part=secret"])
                    .and(["--label", &format!("platform.app={app}")])
                    .and([
                        &format!("{}_{app}_{name}.{number}", environment.name()),
                        "-",
                    ])
                    .secret(value),
            )?;
        }
    }
    if !shell.dry_run {
        say(&format!(
            "{name} is kept; {app} has it from its next deploy on (of the same release: --again)"
        ));
    }
    Ok(())
}

/// The answer of `secret list --json`.
#[derive(Debug, Serialize)]
struct Secrets {
    app: String,
    secrets: Vec<String>,
}

/// Prints the names of the secrets. No command prints their values.
pub(crate) fn list(environment: Environment, app: &str, as_json: bool) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let secrets = names(environment, &app)?;
    if as_json {
        let app = app.to_string();
        return json(&Secrets { app, secrets });
    }
    for name in secrets {
        say(&name);
    }
    Ok(())
}

pub(crate) fn remove(environment: Environment, app: &str, name: &str) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    ensure!(
        names(environment, &app)?.iter().any(|known| known == name),
        "{app} has no secret {name}: platformer secret list {app} tells which it has"
    );
    let shell = environment.shell;
    match environment.kind {
        Kind::Training => {
            let file = format!("/secrets/{name}");
            shell.act(&on_the_volume(environment, &app, true)?.and(["rm", &file]))?;
        }
        Kind::Production => {
            // Each of its values, or an older one would be the newest.
            let line = Line::docker(["secret", "ls", "--format", "{{.Name}}"]);
            let line = line.and(environment.filters("secret"));
            let prefix = format!("{}_{app}_{name}.", environment.name());
            let stored = shell.ask(&line)?;
            let stored = stored.lines().filter(|stored| stored.starts_with(&prefix));
            shell
                .act(&Line::docker(["secret", "rm"]).and(stored))
                .context("what runs has it: it can be removed when no release that runs was started with it")?;
        }
    }
    if !shell.dry_run {
        say(&format!(
            "{name} is gone; what runs of {app} keeps it until its next deploy"
        ));
    }
    Ok(())
}

fn names(environment: Environment, app: &AppName) -> anyhow::Result<Vec<String>> {
    if environment.kind == Kind::Production {
        let known = production::secrets(environment, app)?;
        return Ok(known.into_keys().collect());
    }
    let list = on_the_volume(environment, app, false)?.and(["ls", "-1", "/secrets"]);
    // Without a volume there is none.
    let printed = environment.shell.try_ask(&list)?.unwrap_or_default();
    Ok(printed.lines().map(str::to_owned).collect())
}

/// A command that sees the volume of training's secrets; made first, if it is to be `written`.
fn on_the_volume(environment: Environment, app: &AppName, written: bool) -> anyhow::Result<Line> {
    let stored = format!("{}_{app}_secrets", environment.name());
    if written {
        environment.volume(&stored)?;
    }
    let volume = format!("{stored}:/secrets");
    Ok(
        Line::docker(["run", "--rm", "-i", "--user", "0", "--network", "none"])
            .and(["--volume", &volume])
            .and([environment.image("platformer/toolbox")?]),
    )
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
