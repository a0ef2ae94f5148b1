//! The platform's own stack: load balancer, repository, toolbox.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use repository_api::Digest;

use super::{rollout, secrets, services, stack_name};
use crate::engine::readiness::POLL_INTERVAL;
use crate::environment::{self, Environment};
use crate::output::print;
use crate::shell::{CommandLine, SLOW};
use crate::step::Step;

/// How long Swarm may take to remove containers and networks.
const REMOVE_TIMEOUT: Duration = Duration::from_mins(2);
/// Variables of the stack files. The service remembers them from one `up` to the next.
const STORAGE: [&str; 4] = [
    "REPOSITORY_STORAGE",
    "AWS_REGION",
    "AWS_ENDPOINT",
    "AWS_ALLOW_HTTP",
];
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

pub(super) fn up(environment: Environment) -> anyhow::Result<Vec<Step>> {
    check_is_manager()?;
    let shell = environment.shell;
    let storage = storage(environment)?;
    let is_on_s3 = storage
        .iter()
        .any(|(name, value)| *name == "REPOSITORY_STORAGE" && value.starts_with("s3://"));
    let mut steps = Vec::new();
    steps.extend(create_secret(environment, "admin-token", || {
        random_token().map(Some)
    })?);
    if is_on_s3 {
        for name in CREDENTIALS {
            steps.extend(create_secret(environment, name, || {
                Ok(std::env::var(name).ok())
            })?);
        }
    } else {
        let credentials = format!("{}_{}", environment.name(), CREDENTIALS[0]);
        ensure!(
            !secrets::exists(&credentials)?,
            "this platform has its repository on S3, but REPOSITORY_STORAGE is not set: set it to the platform's bucket"
        );
        print(
            "REPOSITORY_STORAGE is not set: the repository runs once and stores everything on this machine's disk",
        );
    }
    let mut deploy = CommandLine::docker(["stack", "deploy", "--resolve-image", "never"])
        .arg("--prune")
        .env("PLATFORM_NAME", environment.name())
        .envs(&storage)
        .timeout(SLOW);
    for file in ["platform.yml", "production.yml"] {
        deploy = deploy.arg("-c").arg(environment::file(file)?);
    }
    if is_on_s3 {
        deploy = deploy
            .arg("-c")
            .arg(environment::file("production.s3.yml")?);
    }
    steps.push(Step::command(shell, deploy.arg(environment.name())));
    steps.extend(update_images(environment)?);
    Ok(steps)
}

fn check_is_manager() -> anyhow::Result<()> {
    const STATE: &str = "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}";
    let state = CommandLine::docker(["info", "--format", STATE]).read()?;
    ensure!(
        state == "active true",
        "production needs a swarm manager, and this node isn't one: run docker swarm init, or platformer on a manager"
    );
    Ok(())
}

/// The storage variables that are set now or, for each that isn't, the value of the running service.
fn storage(environment: Environment) -> anyhow::Result<Vec<(&'static str, String)>> {
    const VARIABLES: &str = "{{range .Spec.TaskTemplate.ContainerSpec.Env}}{{println .}}{{end}}";
    let service = format!("{}_repository", environment.name());
    let line = CommandLine::docker(["service", "inspect", "--format", VARIABLES, &service]);
    let running = line.probe()?.success().unwrap_or_default();
    Ok(STORAGE
        .into_iter()
        .filter_map(|name| {
            let from_service = || {
                running
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                    .map(str::to_owned)
            };
            let value = std::env::var(name).ok().or_else(from_service)?;
            (!value.is_empty()).then_some((name, value))
        })
        .collect())
}

/// A step that creates a secret of the platform, unless it exists.
fn create_secret(
    environment: Environment,
    name: &str,
    value: impl FnOnce() -> anyhow::Result<Option<String>>,
) -> anyhow::Result<Option<Step>> {
    let stored = format!("{}_{name}", environment.name());
    if secrets::exists(&stored)? {
        if std::env::var_os(name).is_some() {
            print(&format!(
                "{name} keeps its stored value: to change it, run platformer down, docker secret rm {stored}, and platformer up"
            ));
        }
        return Ok(None);
    }
    let value = value()?.with_context(|| {
        format!("{name} is not set, and the repository needs it for its bucket: set {name}")
    })?;
    let create = CommandLine::docker(["secret", "create"])
        .args(environment.label())
        .args([&stored, "-"])
        .stdin_secret(value);
    Ok(Some(Step::command(environment.shell, create)))
}

/// 256 random bits, in hexadecimal.
fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("failed to read /dev/urandom")?;
    Ok(Digest::new(bytes).to_string())
}

/// Swarm compares names of images, not their content, so services with a rebuilt image need a forced update.
fn update_images(environment: Environment) -> anyhow::Result<Vec<Step>> {
    let id = |arguments: &[&str]| {
        let line = CommandLine::docker(arguments.iter().copied());
        anyhow::Ok(line.probe()?.success())
    };
    let mut steps = Vec::new();
    for part in ["loadbalancer", "repository", "toolbox"] {
        let Ok(container) = environment.container(part) else {
            continue;
        };
        let tag = environment.image(&format!("platformer/{part}"))?;
        let running = id(&["inspect", "--format", "{{.Image}}", &container])?;
        let newest = id(&["image", "inspect", "--format", "{{.Id}}", &tag])?;
        if running.is_some() && newest.is_some() && running != newest {
            let service = format!("{}_{part}", environment.name());
            let update = rollout::force_update(&service);
            steps.push(Step::command(environment.shell, update));
        }
    }
    Ok(steps)
}

pub(super) fn down(environment: Environment) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let jobs = CommandLine::docker(["service", "ls", "--quiet"]);
    let jobs = environment.filter_part(jobs, "job").read()?;
    if !jobs.is_empty() {
        let remove = CommandLine::docker(["service", "rm"]).args(jobs.lines());
        steps.push(Step::command(environment.shell, remove));
    }
    for set in services::replica_sets(environment, None)? {
        let stack = stack_name(environment, &set.app, set.colour);
        steps.push(remove_stack(environment, &stack));
    }
    // The platform's stack has the networks, so it goes last.
    steps.push(remove_stack(environment, environment.name()));
    steps.push(wait_until_removed(environment));
    Ok(steps)
}

/// Removes a stack. A network is in use until the last task on it has ended, and tasks may still drain.
fn remove_stack(environment: Environment, stack: &str) -> Step {
    let line = CommandLine::docker(["stack", "rm", stack]);
    Step::new(line.to_string(), move || {
        let begin = Instant::now();
        loop {
            match environment.shell.execute(&line) {
                Err(error)
                    if format!("{error:#}").contains("in use")
                        && begin.elapsed() < REMOVE_TIMEOUT =>
                {
                    std::thread::sleep(POLL_INTERVAL);
                }
                outcome => return outcome.map(drop),
            }
        }
    })
}

fn wait_until_removed(environment: Environment) -> Step {
    let containers = environment.filter(CommandLine::docker(["ps", "--all", "--quiet"]));
    let commands = format!("{containers}  # until it prints nothing");
    Step::new(commands, move || {
        let begin = Instant::now();
        let networks = [environment.front(), environment.back()];
        loop {
            let mut is_removed = containers.read()?.is_empty();
            for network in &networks {
                let inspect = CommandLine::docker(["network", "inspect", network]);
                is_removed &= !inspect.probe()?.is_success();
            }
            if is_removed {
                return Ok(());
            }
            if begin.elapsed() > REMOVE_TIMEOUT {
                bail!(
                    "timed out after {} s: containers are still on {} or {}; docker network inspect lists them: remove them and retry",
                    REMOVE_TIMEOUT.as_secs(),
                    networks[0],
                    networks[1]
                );
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    })
}
