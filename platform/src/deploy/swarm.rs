//! Production's way. Rolling: one service, one replica after another, the new one before the old one goes.
//! Blue-green: a service of the other colour, and when all of it is ready the old one goes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Strategy;
use super::readiness::{LOG_LINES, NotReady, Progress, ended, last_line};
use crate::environment::Environment;
use crate::plan::Plan;
use crate::production::{self, Task};
use crate::running::{self, Colour, Running};
use crate::say::say;
use crate::shell::Line;

/// Between two looks.
const PACE: Duration = Duration::from_millis(500);
/// Who is ready must be so for as long.
const PROOF: Duration = Duration::from_secs(3);
/// For Swarm to notice by itself that an update has failed, and to take it back.
const OWN_ROLLBACK: Duration = Duration::from_secs(10);

pub(super) fn bring_up(
    environment: Environment,
    plan: &Plan,
    before: &[Running],
    strategy: Strategy,
    patience: Duration,
) -> anyhow::Result<Result<(), NotReady>> {
    let shell = environment.shell;
    production::token(environment, &plan.app)?;
    let live = running::live(before);
    let (colour, replicas) = (
        colour(live, strategy),
        live.map_or(1, |live| live.wanted.max(1)),
    );
    let service = production::service_name(environment, plan.app.as_str(), colour);
    let known: HashSet<String> = production::tasks(environment, &service)?
        .into_iter()
        .map(|task| task.id)
        .collect();
    let goal = Goal {
        service: &service,
        release: plan.release.to_string(),
        replicas,
        known,
        anew: live
            .is_some_and(|live| live.colour == colour && live.release == plan.release.to_string()),
    };
    shell.act(&production::stack(
        environment,
        plan,
        colour,
        replicas,
        patience,
    )?)?;
    if goal.anew {
        // Nothing may have changed that Swarm would act upon.
        shell.act(&Line::docker([
            "service", "update", "--detach", "--force", &service,
        ]))?;
    }
    if shell.dry_run {
        say(&format!(
            "docker service ps {service}  # until {replicas} are running"
        ));
    } else if let Err(not_ready) = wait(environment, &goal, patience)? {
        let was_there = live.is_some_and(|live| live.colour == colour);
        take_back(environment, plan, colour, was_there)?;
        return Ok(Err(not_ready));
    }
    Ok(Ok(()))
}

/// What the new set is of.
fn colour(live: Option<&Running>, strategy: Strategy) -> Colour {
    match (live, strategy) {
        (None, _) => Colour::Blue,
        (Some(live), Strategy::Rolling) => live.colour,
        (Some(live), Strategy::BlueGreen) => live.colour.other(),
    }
}

/// Takes away what is of the other colour.
pub(super) fn retire(
    environment: Environment,
    plan: &Plan,
    before: &[Running],
    strategy: Strategy,
) -> anyhow::Result<()> {
    let colour = colour(running::live(before), strategy);
    for old in before.iter().filter(|running| running.colour != colour) {
        remove(environment, plan.app.as_str(), old.colour)?;
    }
    Ok(())
}

/// Takes a stack away: its tasks leave DNS, drain, and end.
pub(crate) fn remove(environment: Environment, app: &str, colour: Colour) -> anyhow::Result<()> {
    let stack = production::stack_name(environment, app, colour);
    environment
        .shell
        .act(&Line::docker(["stack", "rm", &stack]))?;
    Ok(())
}

/// What is waited for.
struct Goal<'a> {
    service: &'a str,
    release: String,
    replicas: usize,
    /// Tasks from before.
    known: HashSet<String>,
    /// Whether those are to go, though they are of the same release.
    anew: bool,
}

impl Goal<'_> {
    /// Whether a task is what is waited for.
    fn is_of_it(&self, task: &Task) -> bool {
        task.release() == self.release && (!self.anew || !self.known.contains(&task.id))
    }
}

/// Waits until so many replicas of this release are ready, and none of what was there is left.
fn wait(
    environment: Environment,
    goal: &Goal,
    patience: Duration,
) -> anyhow::Result<Result<(), NotReady>> {
    let begin = Instant::now();
    let mut progress = (0, Instant::now());
    let mut complete_since = None;
    let mut told = Progress::default();
    loop {
        let tasks = production::tasks(environment, goal.service)?;
        let (of_it, others): (Vec<&Task>, Vec<&Task>) =
            tasks.iter().partition(|task| goal.is_of_it(task));
        let mut new = of_it.iter().filter(|task| !goal.known.contains(&task.id));
        if let Some(failed) = new.clone().find(|task| task.has_failed()) {
            let reason = match failed.exit_code() {
                0 => failed.error().to_owned(),
                code => ended(code),
            };
            return Ok(Err(failure(environment, failed, reason, begin)?));
        }
        let ready = of_it.iter().filter(|task| task.is_ready()).count();
        if ready != progress.0 {
            progress = (ready, Instant::now());
        }
        if ready >= goal.replicas && !others.iter().any(|task| task.is_wanted()) {
            if complete_since.get_or_insert_with(Instant::now).elapsed() >= PROOF {
                return Ok(Ok(()));
            }
        } else {
            complete_since = None;
            let waits = new.find(|task| !task.is_ready() && task.is_wanted());
            let reason = match waits {
                Some(task) => what_it_says(environment, task)?,
                None => format!(
                    "{ready} of {} replicas run: docker service ps {} tells why",
                    goal.replicas, goal.service
                ),
            };
            if progress.1.elapsed() > patience {
                return Ok(Err(match waits {
                    Some(task) => failure(environment, task, reason, begin)?,
                    None => NotReady {
                        after: begin.elapsed(),
                        reason,
                        log: String::new(),
                    },
                }));
            }
            if waits.is_some() {
                told.waits_for(&reason);
            }
        }
        std::thread::sleep(PACE);
    }
}

/// What the health check of a task says, where it runs on this machine.
fn what_it_says(environment: Environment, task: &Task) -> anyhow::Result<String> {
    if task.container().is_empty() {
        return Ok(if task.error().is_empty() {
            "no node takes it".to_owned()
        } else {
            task.error().to_owned()
        });
    }
    let line = Line::docker([
        "exec",
        task.container(),
        "/usr/local/bin/bootstrap",
        "healthcheck",
    ]);
    Ok(match environment.shell.try_ask(&line)? {
        Ok(_) => "Swarm does not call it healthy yet".to_owned(),
        Err(said) => last_line(&said),
    })
}

fn failure(
    environment: Environment,
    task: &Task,
    reason: String,
    begin: Instant,
) -> anyhow::Result<NotReady> {
    const LOGS: &str = "exec docker service logs --raw --tail \"$1\" \"$2\" 2>&1";
    let line = Line::new(["sh", "-c", LOGS, "sh", LOG_LINES, &task.id]);
    Ok(NotReady {
        after: begin.elapsed(),
        reason,
        log: environment.shell.try_ask(&line)?.unwrap_or_default(),
    })
}

/// Leaves what ran: an update goes back, and a stack that was not there before goes.
fn take_back(
    environment: Environment,
    plan: &Plan,
    colour: Colour,
    was_there: bool,
) -> anyhow::Result<()> {
    if !was_there {
        return remove(environment, plan.app.as_str(), colour);
    }
    let is_the_new_one = || -> anyhow::Result<bool> {
        Ok(production::running(environment, Some(&plan.app))?
            .iter()
            .any(|running| running.colour == colour && running.release == plan.release.to_string()))
    };
    let begin = Instant::now();
    // A rollback takes back whatever came last, and so must not come behind Swarm's own.
    while is_the_new_one()? {
        if begin.elapsed() > OWN_ROLLBACK {
            let service = production::service_name(environment, plan.app.as_str(), colour);
            environment
                .shell
                .act(&Line::docker(["service", "rollback", "--detach", &service]))?;
            break;
        }
        std::thread::sleep(PACE);
    }
    Ok(())
}
