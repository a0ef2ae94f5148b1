//! `platformer down [training|production]`: everything stops; what is kept in volumes and secrets stays.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::environment::{Environment, Kind};
use crate::production;
use crate::say::say;
use crate::shell::Line;
use crate::training;

/// Until Swarm has taken its containers and networks away.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) fn run(environment: Environment) -> anyhow::Result<()> {
    let shell = environment.shell;
    let strangers = environment.strangers()?;
    if !strangers.is_empty() {
        bail!(
            "{} is on the networks of {} and not a part of it: end it (docker rm -f, docker service rm), and do this again",
            strangers.join(", "),
            environment.name()
        );
    }
    match environment.kind {
        Kind::Training => {
            // What `platformer run` has started included: all of it is on the networks.
            let line = Line::docker(["ps", "--all", "--format", "{{.Names}}"]);
            let names = shell.ask(&line.and(environment.filters("app")))?;
            let names: Vec<String> = names.lines().map(str::to_owned).collect();
            training::remove(environment, &names)?;
            shell.act(&training::platform(environment)?.and(["down"]))?;
        }
        Kind::Production => {
            let jobs = Line::docker(["service", "ls", "--quiet"]).and(environment.filters("job"));
            let jobs = shell.ask(&jobs)?;
            if !jobs.is_empty() {
                shell.act(&Line::docker(["service", "rm"]).and(jobs.lines()))?;
            }
            let mut stacks: Vec<String> = production::running(environment, None)?
                .iter()
                .map(|running| production::stack_name(environment, &running.app, running.colour))
                .collect();
            // The networks are the platform's, so it goes last.
            stacks.push(environment.name().to_owned());
            for stack in &stacks {
                remove(environment, stack)?;
            }
            if !shell.dry_run {
                wait(environment)?;
            }
        }
    }
    if !shell.dry_run {
        say(&format!(
            "{} is down; its volumes and secrets are kept: platformer up {kind}, then platformer deploy APP@{kind} for each app; or platformer clean {kind} for good",
            environment.name(),
            kind = environment.kind.name()
        ));
    }
    Ok(())
}

/// A network goes only when the last task that was on it has ended, and what was removed before may still drain.
fn remove(environment: Environment, stack: &str) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        match environment.shell.act(&Line::docker(["stack", "rm", stack])) {
            Err(error) if format!("{error:#}").contains("in use") && begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_secs(1));
            }
            outcome => return outcome.map(drop),
        }
    }
}

fn wait(environment: Environment) -> anyhow::Result<()> {
    let begin = Instant::now();
    let filter = format!("label=platform.environment={}", environment.name());
    let left = Line::docker(["ps", "--all", "--quiet", "--filter", &filter]);
    let networks = [environment.front(), environment.back()];
    loop {
        let containers = environment.shell.ask(&left)?;
        let mut is_there = !containers.is_empty();
        for network in &networks {
            let inspect = Line::docker(["network", "inspect", network]);
            is_there |= environment.shell.try_ask(&inspect)?.is_ok();
        }
        if !is_there {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            bail!(
                "after {} s there is still something on {} or {}: docker network inspect tells what, end it and do this again",
                PATIENCE.as_secs(),
                networks[0],
                networks[1]
            );
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
