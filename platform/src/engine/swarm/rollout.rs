//! Deploys on Swarm. A rolling update changes a service: each new replica starts before an old one stops. A blue-green
//! deploy starts a second service, and removes the first one when all new replicas are ready.

use std::time::{Duration, Instant};

use super::health::Goal;
use super::{secrets, service_name, services, stack_name, tasks};
use crate::engine::contract::{DNS_REFRESH, Rollout, Strategy};
use crate::engine::readiness::POLL_INTERVAL;
use crate::engine::stack_file;
use crate::environment::Environment;
use crate::replica_set::{self, Colour, ReplicaSet};
use crate::shell::{CommandLine, SLOW};
use crate::step::Step;

/// How long Swarm may take to notice a failed update and roll it back by itself.
const AUTOMATIC_ROLLBACK: Duration = Duration::from_secs(10);

pub(super) fn start(environment: Environment, rollout: &Rollout) -> anyhow::Result<Vec<Step>> {
    let shell = environment.shell;
    let spec = rollout.spec.clone();
    let live = replica_set::live(rollout.before);
    let colour = colour(rollout);
    let replicas = live.map_or(1, |live| live.desired.max(1));
    let service = service_name(environment, spec.app.as_str(), colour);
    let release = spec.release.to_string();
    let updates_live = live.is_some_and(|live| live.colour == colour);
    let is_restart = live.is_some_and(|live| updates_live && live.release == release);
    let deploy = stack_deploy(environment, rollout, colour, replicas)?;
    // Swarm ignores the deploy of an unchanged stack.
    let force = is_restart.then(|| force_update(&service));
    let mut commands = vec![deploy.to_string()];
    commands.extend(force.as_ref().map(CommandLine::to_string));
    commands.push(until_running(&service, replicas));
    let timeout = rollout.timeout;
    Ok(vec![Step::new(commands.join("\n"), move || {
        let goal = Goal {
            release,
            replicas,
            earlier: tasks::list(&service)?
                .into_iter()
                .map(|task| task.id)
                .collect(),
            is_restart,
            service,
        };
        shell.execute(&deploy)?;
        if let Some(force) = force {
            shell.execute(&force)?;
        }
        goal.wait(timeout).or_else(|error| {
            if updates_live {
                roll_back(environment, spec.app.as_str(), colour, &goal)?;
            } else {
                remove(environment, spec.app.as_str(), colour).execute()?;
            }
            Err(error)
        })
    })])
}

/// The colour of the new replicas.
fn colour(rollout: &Rollout) -> Colour {
    match (replica_set::live(rollout.before), rollout.strategy) {
        (None, _) => Colour::Blue,
        (Some(live), Strategy::Rolling) => live.colour,
        (Some(live), Strategy::BlueGreen) => live.colour.other(),
    }
}

fn stack_deploy(
    environment: Environment,
    rollout: &Rollout,
    colour: Colour,
    replicas: usize,
) -> anyhow::Result<CommandLine> {
    let Rollout { spec, timeout, .. } = *rollout;
    let variables = stack_file::variables(environment, spec, colour.as_str(), replicas, timeout);
    let line = CommandLine::docker(["stack", "deploy", "--resolve-image", "never"])
        .envs(&variables)
        .timeout(SLOW);
    let overlay = stack_file::overlay(
        environment,
        spec,
        &secrets::current(environment, &spec.app)?,
    );
    let file = "app.production.yml";
    let line = stack_file::add_files(line, "-c", environment, file, &spec.app, overlay)?;
    Ok(line.arg(stack_name(environment, spec.app.as_str(), colour)))
}

pub(super) fn force_update(service: &str) -> CommandLine {
    CommandLine::docker(["service", "update", "--detach", "--force", service]).timeout(SLOW)
}

fn until_running(service: &str, replicas: usize) -> String {
    format!("docker service ps {service}  # until {replicas} are running")
}

pub(super) fn retire(environment: Environment, rollout: &Rollout) -> Vec<Step> {
    let colour = colour(rollout);
    let old = rollout.before.iter().filter(|set| set.colour != colour);
    old.map(|set| remove(environment, &set.app, set.colour))
        .collect()
}

/// Removes a stack: its tasks leave DNS, drain, and end.
fn remove(environment: Environment, app: &str, colour: Colour) -> Step {
    let stack = stack_name(environment, app, colour);
    let line = CommandLine::docker(["stack", "rm", &stack]);
    Step::command(environment.shell, line)
}

pub(super) fn scale(
    environment: Environment,
    live: &ReplicaSet,
    replicas: usize,
    timeout: Duration,
) -> Vec<Step> {
    let service = service_name(environment, &live.app, live.colour);
    let scale =
        CommandLine::docker(["service", "scale", "--detach"]).arg(format!("{service}={replicas}"));
    let wait = Step::new(until_running(&service, replicas), move || {
        let begin = Instant::now();
        loop {
            let tasks = tasks::list(&service)?;
            let ready = tasks.iter().filter(|task| task.is_ready()).count();
            if ready == replicas {
                std::thread::sleep(DNS_REFRESH);
                return Ok(());
            }
            if begin.elapsed() > timeout {
                anyhow::bail!(
                    "timed out after {} s waiting for {replicas} replicas: {ready} are running; docker service ps {service} shows why",
                    timeout.as_secs()
                );
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    });
    vec![Step::command(environment.shell, scale), wait]
}

/// Rolls a service back to its release before the update. Swarm does so by itself when it notices the failure, and a
/// second rollback would undo that, so this waits for Swarm first.
fn roll_back(
    environment: Environment,
    app: &str,
    colour: Colour,
    goal: &Goal,
) -> anyhow::Result<()> {
    let app = app.parse()?;
    let is_updated = || -> anyhow::Result<bool> {
        Ok(services::replica_sets(environment, Some(&app))?
            .iter()
            .any(|set| set.colour == colour && set.release == goal.release))
    };
    let begin = Instant::now();
    while is_updated()? {
        if begin.elapsed() > AUTOMATIC_ROLLBACK {
            let line = ["service", "rollback", "--detach", &goal.service];
            let line = CommandLine::docker(line).timeout(SLOW);
            return environment.shell.execute(&line).map(drop);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
