//! `platformer up [training|production]`: the platform itself. Again, to take up newer images and settings.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use repository_api::Digest;

use crate::environment::{self, Environment, Kind};
use crate::say::say;
use crate::shell::{Line, Shell};
use crate::{images, training};

/// Until load balancer and repository are healthy.
const PATIENCE: Duration = Duration::from_mins(2);
const PACE: Duration = Duration::from_millis(300);
/// What a variable of the production files may say; kept from one `up` to the next by the service itself.
const STORAGE: [&str; 4] = [
    "REPOSITORY_STORAGE",
    "AWS_REGION",
    "AWS_ENDPOINT",
    "AWS_ALLOW_HTTP",
];
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

pub(crate) fn run(kind: Kind, shell: Shell) -> anyhow::Result<()> {
    environment::check_name()?;
    let environment = Environment { kind, shell };
    ensure!(
        images::docker_answers(),
        "docker does not answer: start it; platformer doctor tells what else is missing"
    );
    for image in ["loadbalancer", "repository", "toolbox", "app-base"] {
        let tag = format!("platformer/{image}");
        let inspect = Line::docker(["image", "inspect", "--format", "{{.Id}}", &tag]);
        if images::registry().is_none() && shell.try_ask(&inspect)?.is_err() {
            bail!("there is no image {tag} here: platformer images builds it");
        }
    }
    if !environment.is_up()? {
        ports()?;
    }
    match kind {
        Kind::Training => {
            shell.act(&training::platform(environment)?.and(["up", "-d"]))?;
        }
        Kind::Production => production(environment)?,
    }
    if shell.dry_run {
        return Ok(());
    }
    wait(environment)?;
    say(&format!(
        "{} is up: publish with platformer publish APP PATH VERSION, then platformer deploy APP@VERSION",
        environment.name()
    ));
    Ok(())
}

fn production(environment: Environment) -> anyhow::Result<()> {
    let shell = environment.shell;
    let state = shell.ask(&Line::docker([
        "info",
        "--format",
        "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}",
    ]))?;
    ensure!(
        state == "active true",
        "production is deployed from a manager of a swarm, and this engine is none: docker swarm init"
    );
    let storage = storage(environment)?;
    let is_on_s3 = storage
        .iter()
        .any(|(name, value)| *name == "REPOSITORY_STORAGE" && value.starts_with("s3://"));
    secret(environment, "admin-token", || random_token().map(Some))?;
    if is_on_s3 {
        for name in CREDENTIALS {
            secret(environment, name, || Ok(std::env::var(name).ok()))?;
        }
    } else {
        let keys = format!("{}_{}", environment.name(), CREDENTIALS[0]);
        ensure!(
            shell
                .try_ask(&Line::docker(["secret", "inspect", &keys]))?
                .is_err(),
            "this platform kept what it has on S3, and REPOSITORY_STORAGE is not set: set it to the bucket that it had"
        );
        say(
            "REPOSITORY_STORAGE is not set: the repository keeps what it has on this machine's disk, and runs once",
        );
    }
    let mut line = Line::docker(["stack", "deploy", "--resolve-image", "never", "--prune"])
        .variable("PLATFORM_NAME", environment.name())
        .variables(&storage);
    let files: &[&str] = if is_on_s3 {
        &["platform.yml", "production.yml", "production.s3.yml"]
    } else {
        &["platform.yml", "production.yml"]
    };
    for file in files {
        line = line.and(["-c".to_owned(), environment::file(file)?]);
    }
    shell.act(&line.and([environment.name()]))?;
    take_up_newer_images(environment)
}

/// Whether both ports can be had.
fn ports() -> anyhow::Result<()> {
    for (name, default) in [("HTTP_PORT", 8080), ("HTTPS_PORT", 8443)] {
        let port = port(name, default)?;
        if let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
            && error.kind() == ErrorKind::AddrInUse
        {
            bail!(
                "port {port} is in use: end what uses it, or take another one, as in {name}={} platformer up",
                port.saturating_add(10)
            );
        }
    }
    Ok(())
}

/// A port that a variable names.
pub(crate) fn port(name: &str, default: u16) -> anyhow::Result<u16> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .with_context(|| format!("{name} is {text:?}, which is no port")),
        _ => Ok(default),
    }
}

/// Swarm does nothing where the files have not changed; an image of the same name may have.
fn take_up_newer_images(environment: Environment) -> anyhow::Result<()> {
    let shell = environment.shell;
    for part in ["loadbalancer", "repository", "toolbox"] {
        let Ok(container) = environment.container(part) else {
            continue;
        };
        let runs = shell.try_ask(&Line::docker([
            "inspect",
            "--format",
            "{{.Image}}",
            &container,
        ]))?;
        let tag = environment.image(&format!("platformer/{part}"))?;
        let newest = shell.try_ask(&Line::docker([
            "image", "inspect", "--format", "{{.Id}}", &tag,
        ]))?;
        if let (Ok(runs), Ok(newest)) = (runs, newest)
            && runs != newest
        {
            let service = format!("{}_{part}", environment.name());
            shell.act(&Line::docker([
                "service", "update", "--detach", "--force", &service,
            ]))?;
        }
    }
    Ok(())
}

/// What was set just now, and otherwise what the service that is there was given.
fn storage(environment: Environment) -> anyhow::Result<Vec<(&'static str, String)>> {
    const FORMAT: &str = "{{range .Spec.TaskTemplate.ContainerSpec.Env}}{{println .}}{{end}}";
    let service = format!("{}_repository", environment.name());
    let line = Line::docker(["service", "inspect", "--format", FORMAT, &service]);
    let known = environment.shell.try_ask(&line)?.unwrap_or_default();
    Ok(STORAGE
        .into_iter()
        .filter_map(|name| {
            let was = || {
                known
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                    .map(str::to_owned)
            };
            let value = std::env::var(name).ok().or_else(was)?;
            (!value.is_empty()).then_some((name, value))
        })
        .collect())
}

/// Makes a secret of the platform's own, unless it is there.
fn secret(
    environment: Environment,
    name: &str,
    value: impl FnOnce() -> anyhow::Result<Option<String>>,
) -> anyhow::Result<()> {
    let shell = environment.shell;
    let stored = format!("{}_{name}", environment.name());
    if shell
        .try_ask(&Line::docker(["secret", "inspect", &stored]))?
        .is_ok()
    {
        if std::env::var_os(name).is_some() {
            say(&format!(
                "{name} stays as it is kept: to change it, platformer down, docker secret rm {stored}, and up again"
            ));
        }
        return Ok(());
    }
    let value = value()?.with_context(|| {
        format!("{name} is not set: the repository needs it to reach its bucket")
    })?;
    let label = format!("platform.environment={}", environment.name());
    shell
        .act(&Line::docker(["secret", "create", "--label", &label, &stored, "-"]).secret(value))?;
    Ok(())
}

/// 256 random bits, in hexadecimal.
fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("failed to read /dev/urandom")?;
    Ok(Digest::new(bytes).to_string())
}

/// Waits until the repository and the load balancer of this machine are healthy.
fn wait(environment: Environment) -> anyhow::Result<()> {
    let begin = Instant::now();
    for part in ["repository", "loadbalancer", "toolbox"] {
        loop {
            let state = match environment.container(part) {
                Ok(container) => environment.shell.try_ask(&Line::docker([
                    "inspect",
                    "--format",
                    "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}",
                    &container,
                ]))?,
                Err(error) => Err(format!("{error:#}")),
            };
            let state = state.unwrap_or_else(|error| error);
            match state.as_str() {
                "healthy" => break,
                "running" if part == "toolbox" => break,
                _ if begin.elapsed() < PATIENCE => std::thread::sleep(PACE),
                state => bail!(
                    "the {part} is not healthy after {} s ({state}); the last lines of its log:\n{}",
                    PATIENCE.as_secs(),
                    last_words(environment, part)?
                ),
            }
        }
    }
    Ok(())
}

/// What a part of the platform said last, though it may have ended by now.
fn last_words(environment: Environment, part: &str) -> anyhow::Result<String> {
    const LOGS: &str = "docker logs --tail 5 \"$1\" 2>&1";
    let shell = environment.shell;
    let newest =
        Line::docker(["ps", "--all", "--quiet", "--latest"]).and(environment.filters(part));
    let container = shell.ask(&newest)?;
    let logs = Line::new(["sh", "-c", LOGS, "sh", &container]);
    Ok(shell.try_ask(&logs)?.unwrap_or_else(|error| error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    /// `docker stack deploy` ignores in silence what it does not know, and Compose likewise: what both are to
    /// understand must at least be there.
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
}
