//! The token with which an app's containers read their own releases, and nothing else.

use anyhow::Context as _;
use repository_api::AppName;

use super::secrets;
use crate::environment::Environment;
use crate::shell::CommandLine;
use crate::step::Step;

/// The Swarm secret that holds the token.
pub(super) fn secret_name(environment: Environment, app: &AppName) -> String {
    format!("{}_{app}_repository-token", environment.name())
}

/// Steps that create the token unless it exists.
pub(super) fn create(environment: Environment, app: &AppName) -> anyhow::Result<Vec<Step>> {
    let shell = environment.shell;
    let secret = secret_name(environment, app);
    if secrets::exists(&secret)? {
        return Ok(Vec::new());
    }
    let repository = environment.container("repository")?;
    let name = format!("{}-{app}", environment.name());
    let command = |arguments: &[&str]| {
        CommandLine::docker(["exec", &repository, "/usr/local/bin/repository", "token"])
            .args(arguments.iter().copied())
    };
    let create = command(&["create", &name, &format!("read:{app}")]);
    let revoke = command(&["revoke", &name]);
    let store = secrets::create(environment, app, "token", &secret);
    let commands = format!("{create}\n{}", store.clone().stdin_secret(""));
    Ok(vec![Step::new(commands, move || {
        let output = shell.execute(&create).or_else(|_| {
            // The token exists, but Swarm has lost its secret.
            shell.execute(&revoke)?;
            shell.execute(&create)
        })?;
        let token = output
            .split_whitespace()
            .last()
            .context("the repository printed no token")?;
        shell.execute(&store.stdin_secret(token)).map(drop)
    })])
}
