//! Secrets in production. Swarm secrets never change, so each value is a new one with the next number:
//! `production_APP_NAME.3`.

use std::collections::BTreeMap;

use repository_api::AppName;

use crate::environment::Environment;
use crate::shell::CommandLine;
use crate::step::Step;

/// The Swarm secrets of an app: name, number, and the name in Swarm.
fn list(environment: Environment, app: &AppName) -> anyhow::Result<Vec<(String, u64, String)>> {
    let line = CommandLine::docker(["secret", "ls", "--format", "{{.Name}}"]);
    let stored = environment
        .filter_part(line, "secret")
        .filter_label("platform.app", app)
        .read()?;
    let prefix = prefix(environment, app);
    let parse = |stored: &str| {
        let (name, number) = stored.strip_prefix(&prefix)?.rsplit_once('.')?;
        Some((name.to_owned(), number.parse().ok()?, stored.to_owned()))
    };
    Ok(stored.lines().filter_map(parse).collect())
}

fn prefix(environment: Environment, app: &AppName) -> String {
    format!("{}_{app}_", environment.name())
}

/// The newest Swarm secret of each name.
pub(super) fn current(
    environment: Environment,
    app: &AppName,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut secrets = list(environment, app)?;
    secrets.sort_by_key(|(_, number, _)| *number);
    Ok(secrets
        .into_iter()
        .map(|(name, _, stored)| (name, stored))
        .collect())
}

pub(super) fn set(
    environment: Environment,
    app: &AppName,
    name: &str,
    value: Vec<u8>,
) -> anyhow::Result<Vec<Step>> {
    let known = list(environment, app)?.into_iter();
    let numbers = known.filter(|(known, ..)| known == name);
    let next = numbers.map(|(_, number, _)| number).max().unwrap_or(0) + 1;
    let stored = format!("{}{name}.{next}", prefix(environment, app));
    let line = create(environment, app, "secret", &stored).stdin_secret(value);
    Ok(vec![Step::command(environment.shell, line)])
}

/// Removes all values, because an older one would become the newest.
pub(super) fn remove(
    environment: Environment,
    app: &AppName,
    name: &str,
) -> anyhow::Result<Vec<Step>> {
    let known = list(environment, app)?.into_iter();
    let values = known.filter(|(known, ..)| known == name);
    let line = CommandLine::docker(["secret", "rm"]).args(values.map(|(.., stored)| stored));
    let step = Step::command(environment.shell, line);
    Ok(vec![step.context(format!(
        "{name} cannot be removed while a replica of {app} uses it: deploy a release without it first"
    ))])
}

pub(super) fn delete_all(environment: Environment) -> anyhow::Result<Vec<Step>> {
    let line = CommandLine::docker(["secret", "ls", "--quiet"]);
    let secrets = environment.filter(line).read()?;
    if secrets.is_empty() {
        return Ok(Vec::new());
    }
    let line = CommandLine::docker(["secret", "rm"]).args(secrets.lines());
    Ok(vec![Step::command(environment.shell, line)])
}

/// `docker secret create` of a secret of an app, which reads the value from standard input.
pub(super) fn create(
    environment: Environment,
    app: &AppName,
    part: &str,
    stored: &str,
) -> CommandLine {
    CommandLine::docker(["secret", "create"])
        .args(environment.label())
        .args(["--label", &format!("platform.part={part}")])
        .args(["--label", &format!("platform.app={app}")])
        .args([stored, "-"])
}

pub(super) fn exists(stored: &str) -> anyhow::Result<bool> {
    let inspect = CommandLine::docker(["secret", "inspect", stored]);
    Ok(inspect.probe()?.is_success())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::environment::Kind;
    use crate::shell::Shell;

    #[test]
    fn a_secret_carries_its_labels_and_hides_its_value() {
        let environment = Environment {
            kind: Kind::Production,
            shell: Shell::default(),
        };
        let app = "bakery".parse().unwrap();
        let line = create(environment, &app, "secret", "production_bakery_KEY.2")
            .stdin_secret("hunter2")
            .to_string();
        assert!(line.contains("--label platform.app=bakery"), "{line}");
        assert!(line.contains("production_bakery_KEY.2 -"), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}
