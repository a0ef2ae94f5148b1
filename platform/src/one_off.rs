//! A command in an app's environment, once: its tree, its config, its secrets, its volumes, and no traffic.

use std::time::Duration;

use crate::deploy::PATIENCE;
use crate::environment::{Environment, Kind};
use crate::plan::Plan;
use crate::say::remark;
use crate::shell::Line;
use crate::{production, training};

/// How often a job is looked at.
const PACE: Duration = Duration::from_millis(500);
const REPOSITORY: &str = "http://repository.platform";

/// `platformer run APP -- COMMAND`; the command's exit code.
pub(crate) fn run(
    environment: Environment,
    plan: &Plan,
    command: &[String],
    on_a_terminal: bool,
) -> anyhow::Result<i32> {
    let mut words = start(plan);
    words.push("--".to_owned());
    words.extend(command.iter().cloned());
    match environment.kind {
        Kind::Training => compose(environment, plan, &[], &words, on_a_terminal),
        Kind::Production => job(environment, plan, &[], &words),
    }
}

/// `RELEASE_COMMAND`, which is split into words as `STARTUP_COMMAND` is: by bootstrap.
pub(crate) fn release_command(
    environment: Environment,
    plan: &Plan,
    command: &str,
) -> anyhow::Result<i32> {
    let variables = [format!("BOOTSTRAP_STARTUP_COMMAND={command}")];
    match environment.kind {
        Kind::Training => compose(environment, plan, &variables, &start(plan), false),
        Kind::Production => job(environment, plan, &variables, &start(plan)),
    }
}

fn start(plan: &Plan) -> Vec<String> {
    // By its number, whatever it follows: this is about this release.
    let reference = format!("{}@{}", plan.app, plan.release);
    vec!["run".to_owned(), reference, REPOSITORY.to_owned()]
}

fn compose(
    environment: Environment,
    plan: &Plan,
    variables: &[String],
    words: &[String],
    on_a_terminal: bool,
) -> anyhow::Result<i32> {
    let mut line = training::project(environment, plan, "run", PATIENCE)?.and(["run", "--rm"]);
    if !on_a_terminal {
        line = line.and(["-T"]);
    }
    for variable in variables {
        line = line.and(["-e", variable]);
    }
    let status = environment
        .shell
        .show(&line.and(["app"]).and(words.to_vec()))?;
    Ok(status.code().unwrap_or(1))
}

/// A service that runs once: `docker run` could be given neither its secrets nor another node, and a job of Swarm's
/// is not stopped when its service is removed.
fn job(
    environment: Environment,
    plan: &Plan,
    variables: &[String],
    words: &[String],
) -> anyhow::Result<i32> {
    let shell = environment.shell;
    production::token(environment, &plan.app)?;
    let name = format!("{}-{}-job", environment.name(), plan.app);
    // One that was interrupted may have been left.
    if shell
        .try_ask(&Line::docker(["service", "inspect", &name]))?
        .is_ok()
    {
        shell.act(&Line::docker(["service", "rm", &name]))?;
    }
    let mut line = Line::docker(["service", "create", "--detach", "--quiet", "--name", &name])
        .and([
            "--mode",
            "replicated",
            "--replicas",
            "1",
            "--restart-condition",
            "none",
            "--no-healthcheck",
        ])
        .and(["--no-resolve-image", "--read-only", "--cap-drop", "ALL"])
        .and([
            "--label",
            &format!("platform.environment={}", environment.name()),
        ])
        .and(["--label", "platform.part=job"])
        .and([
            "--container-label",
            &format!("platform.environment={}", environment.name()),
        ])
        .and(["--network".to_owned(), environment.back()])
        .and([
            "--mount",
            "type=volume,target=/app",
            "--mount",
            "type=tmpfs,target=/tmp",
        ])
        .and([
            "--env",
            &format!("BOOTSTRAP_ENVIRONMENT={}", environment.layer()),
        ])
        .and([
            "--env",
            "BOOTSTRAP_TOKEN_FILE=/run/secrets/repository-token",
        ]);
    for variable in variables {
        line = line.and(["--env", variable]);
    }
    for mount in plan.mounts(environment) {
        line = line.and(["--mount", &mount]);
    }
    let mut secrets = production::secrets(environment, &plan.app)?;
    secrets.insert(
        "repository-token".to_owned(),
        production::token_name(environment, &plan.app),
    );
    for (target, source) in secrets {
        line = line.and([
            "--secret",
            &format!("source={source},target={target},uid=10001,gid=10001,mode=0400"),
        ]);
    }
    shell.act(&line.and([plan.image.clone()]).and(words.to_vec()))?;
    if shell.dry_run {
        return Ok(0);
    }
    let mut told = String::new();
    let code = loop {
        let tasks = production::tasks(environment, &name)?;
        let trouble = tasks.first().map_or("", production::Task::error);
        if !trouble.is_empty() && trouble != told {
            remark(&format!("  {trouble}"));
            trouble.clone_into(&mut told);
        }
        if let Some(code) = tasks.iter().find_map(production::Task::end) {
            break code;
        }
        std::thread::sleep(PACE);
    };
    // Its output to standard output and its errors to standard error, as on Compose; docker says itself what it cannot show.
    shell.show(&Line::docker(["service", "logs", "--raw", &name]))?;
    shell.act(&Line::docker(["service", "rm", &name]))?;
    Ok(code)
}
