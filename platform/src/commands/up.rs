//! `platformer up [training|production]`: starts load balancer, repository and toolbox, or updates them to newer images
//! and settings.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::engine;
use crate::environment::{self, Environment, Kind};
use crate::images;
use crate::shell::{CommandLine, Shell};
use crate::step::{Step, apply_all};

/// How long the platform's containers may take to become healthy.
const HEALTHY_TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

pub(crate) fn run(kind: Kind, shell: Shell) -> anyhow::Result<()> {
    environment::check_name()?;
    let environment = Environment { kind, shell };
    ensure!(
        images::docker_answers(),
        "Docker does not answer: start it; platformer doctor lists what else is missing"
    );
    check_images()?;
    if !environment.is_up()? {
        check_ports()?;
    }
    let mut steps = engine::of(environment).up()?;
    steps.push(wait_until_healthy(environment));
    steps.push(Step::report(format!(
        "{} is up. Next: platformer publish APP PATH VERSION, then platformer deploy APP@VERSION",
        environment.name()
    )));
    apply_all(steps, shell)
}

/// Checks that the images are on this machine, unless they come from a registry.
fn check_images() -> anyhow::Result<()> {
    if images::registry().is_some() {
        return Ok(());
    }
    for image in ["loadbalancer", "repository", "toolbox", "app-base"] {
        let tag = format!("platformer/{image}");
        let inspect = CommandLine::docker(["image", "inspect", "--format", "{{.Id}}", &tag]);
        ensure!(
            inspect.probe()?.is_success(),
            "the image {tag} isn't on this machine: run platformer images, or cargo images in a checkout"
        );
    }
    Ok(())
}

fn check_ports() -> anyhow::Result<()> {
    for (name, default) in [("HTTP_PORT", 8080), ("HTTPS_PORT", 8443)] {
        let port = port(name, default)?;
        if let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
            && error.kind() == ErrorKind::AddrInUse
        {
            bail!(
                "port {port} is in use: stop the program that uses it, or choose another port, such as {name}={} platformer up",
                port.saturating_add(10)
            );
        }
    }
    Ok(())
}

/// The port in a variable, or the default.
pub(crate) fn port(name: &str, default: u16) -> anyhow::Result<u16> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .with_context(|| format!("{name} is {text:?}, which isn't a port: use 1 to 65535")),
        _ => Ok(default),
    }
}

/// Waits until the platform's containers on this machine are healthy.
fn wait_until_healthy(environment: Environment) -> Step {
    let list = environment.filter(CommandLine::docker(["ps"]));
    Step::new(format!("{list}  # until all are healthy"), move || {
        let begin = Instant::now();
        for part in ["repository", "loadbalancer", "toolbox"] {
            loop {
                let health = health(environment, part)?;
                match health.as_str() {
                    "healthy" => break,
                    "running" if part == "toolbox" => break,
                    _ if begin.elapsed() < HEALTHY_TIMEOUT => std::thread::sleep(POLL_INTERVAL),
                    health => bail!(
                        "timed out after {} s waiting for the {part} to become healthy ({health}); last lines of its log:\n{}",
                        HEALTHY_TIMEOUT.as_secs(),
                        log(environment, part)?
                    ),
                }
            }
        }
        Ok(())
    })
}

fn health(environment: Environment, part: &str) -> anyhow::Result<String> {
    const HEALTH: &str =
        "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}";
    let container = match environment.container(part) {
        Ok(container) => container,
        Err(error) => return Ok(format!("{error:#}")),
    };
    let inspect = CommandLine::docker(["inspect", "--format", HEALTH, &container]);
    let health = inspect.probe()?.success();
    Ok(health.unwrap_or_else(|| "removed".to_owned()))
}

/// The last lines of the log of a part's newest container, which may have exited.
fn log(environment: Environment, part: &str) -> anyhow::Result<String> {
    const LOGS: &str = "docker logs --tail 5 \"$1\" 2>&1";
    let newest = CommandLine::docker(["ps", "--all", "--quiet", "--latest"]);
    let container = environment.filter_part(newest, part).read()?;
    let logs = CommandLine::new(["sh", "-c", LOGS, "sh", &container]);
    Ok(logs.probe()?.success().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    /// `docker stack deploy` and Compose ignore unknown keys, so this test checks at least that the keys are present.
    #[test]
    fn every_service_is_locked_down() {
        let text = include_str!("../../platform.yml");
        for service in ["loadbalancer:", "repository:", "toolbox:"] {
            let body = text.split(&format!("\n  {service}\n")).nth(1).unwrap();
            let body = body.split("\n\n").next().unwrap();
            assert!(body.contains("read_only: true"), "{service}");
            assert!(body.contains("cap_drop: [ALL]"), "{service}");
        }
    }

    /// The later of two stack files wins, so this line hides the caller's variable.
    #[test]
    fn training_ignores_the_storage_of_the_caller() {
        let text = include_str!("../../training.yml");
        assert!(text.contains("\n      REPOSITORY_STORAGE: file:///var/lib/repository\n"));
    }
}
