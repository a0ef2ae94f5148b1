//! `platformer deploy APP@REF`
//!
//! 1. the reference becomes a release (`candidate`)
//! 2. the steps are planned: create volumes, run `RELEASE_COMMAND`, start new replicas and give them traffic when they
//!    are ready, promote the release to the environment's channel, drain the old replicas
//! 3. the steps are executed, or printed in a dry run
//!
//! If a step fails, the old replicas keep serving.

mod candidate;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use repository_api::{AppReference, ReleaseNumber};

use crate::engine::{self, Engine, OneOff, Rollout};
use crate::environment::{self, Environment};
use crate::output::print;
use crate::release_spec::ReleaseSpec;
use crate::replica_set::{self, ReplicaSet};
use crate::repository::Repository;
use crate::shell::Shell;
use crate::step::{Step, apply_all, undone};

pub(crate) use crate::engine::Strategy;

/// Deploys a release. With `restart`, replicas of the same release are replaced, too.
pub(crate) fn run(
    environment: Environment,
    reference: &AppReference,
    strategy: Option<Strategy>,
    timeout: Duration,
    restart: bool,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let shell = environment.shell;
    let app = environment::app_name(reference.app.as_str())?;
    let engine = engine::of(environment);
    let strategy = engine.strategy(strategy)?;
    let _lock = environment.lock(&app)?;
    let repository = Repository::of(environment)?;
    let candidate = candidate::resolve(&repository, environment, &app, &reference.resolved())?;
    let release = candidate.release;
    let spec = ReleaseSpec::load(&repository, environment, &app, release)?;
    let before = engine.replica_sets(Some(&app))?;
    if candidate.is_assumed {
        print(&format!(
            "# assuming that the version and the config are those of {release}"
        ));
    } else if !restart && is_running(&before, release) {
        print(&format!(
            "{app} runs {release} already; --again restarts it, with the current secrets"
        ));
        let channel = environment.channel();
        let promote = repository.promote(&app, channel, &release.to_string());
        return promote.apply(shell).map(drop);
    }
    print(&format!(
        "{app} {} is {release}, on {}",
        spec.version, spec.image
    ));
    let rollout = Rollout {
        spec: &spec,
        before: &before,
        strategy,
        timeout,
    };
    Plan::new(environment, &repository, engine.as_ref(), &rollout)?.apply(
        shell,
        release,
        Serving(&before),
    )?;
    let address = format!("http://{app}.localhost:{}/", environment.http_port()?);
    let report = Step::new("", move || {
        let seconds = begin.elapsed().as_secs_f64();
        print(&format!(
            "{app} runs {release} after {seconds:.1} s: {address}"
        ));
        Ok(())
    });
    report.apply(shell).map(drop)
}

fn is_running(sets: &[ReplicaSet], release: ReleaseNumber) -> bool {
    let release = release.to_string();
    !sets.is_empty()
        && sets
            .iter()
            .all(|set| set.release == release && set.ready == set.desired && set.desired > 0)
}

/// The steps of a deploy, grouped by the consequence of a failure.
struct Plan {
    /// Nothing runs yet.
    prepare: Vec<Step>,
    /// The new replicas start beside the old ones.
    start: Vec<Step>,
    /// Undoes a promotion among the steps of `start`.
    revert: Option<Step>,
    /// `None` if `start` has promoted the release.
    promote: Option<Step>,
    /// The release is live.
    retire: Vec<Step>,
}

impl Plan {
    fn new(
        environment: Environment,
        repository: &Repository,
        engine: &dyn Engine,
        rollout: &Rollout,
    ) -> anyhow::Result<Self> {
        let spec = rollout.spec;
        let channel = environment.channel();
        let promote = |release: ReleaseNumber| {
            repository
                .promote(&spec.app, channel, &release.to_string())
                .without_result()
        };
        let mut prepare = engine.prepare(spec)?;
        if let Some(command) = &spec.release_command {
            prepare.push(release_command(engine, spec, command)?);
        }
        let mut start = Vec::new();
        let mut revert = None;
        if spec.follows_channel {
            // The new replicas start the release that the channel names.
            revert = repository.channel(&spec.app, channel)?.map(promote);
            start.push(promote(spec.release));
        }
        start.extend(engine.start(rollout)?);
        Ok(Self {
            prepare,
            start,
            revert,
            promote: (!spec.follows_channel).then(|| promote(spec.release)),
            retire: engine.retire(rollout)?,
        })
    }

    fn apply(self, shell: Shell, release: ReleaseNumber, serving: Serving) -> anyhow::Result<()> {
        apply_all(self.prepare, shell)
            .with_context(|| format!("{release} isn't deployed, and {serving}"))?;
        if let Err(error) = apply_all(self.start, shell) {
            let error = undone(error, self.revert);
            return Err(anyhow!("{release} isn't deployed: {error:#}\n{serving}"));
        }
        // The new replicas have traffic, so the release is live even if the rest fails.
        apply_all(self.promote.into_iter().collect(), shell)?;
        apply_all(self.retire, shell).with_context(|| {
            format!(
                "{release} is live, but its predecessor isn't removed: the next deploy removes it"
            )
        })
    }
}

fn release_command(engine: &dyn Engine, spec: &ReleaseSpec, command: &str) -> anyhow::Result<Step> {
    let text = format!("running RELEASE_COMMAND: {command}");
    let run = engine.run_once(spec, OneOff::ReleaseCommand(command), false)?;
    Ok(Step::new(run.to_string(), move || {
        print(&text);
        let code = run.execute()?;
        ensure!(code == 0, "RELEASE_COMMAND exited with code {code}");
        Ok(())
    }))
}

/// Formats which release serves when a deploy fails.
#[derive(Clone, Copy)]
struct Serving<'a>(&'a [ReplicaSet]);

impl fmt::Display for Serving<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match replica_set::live(self.0) {
            Some(live) if live.desired > 0 => write!(f, "{} is still serving", live.release),
            _ => f.write_str("no earlier release is running"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica_set::Colour;

    fn set(release: &str, ready: usize, desired: usize) -> ReplicaSet {
        ReplicaSet {
            app: "web".to_owned(),
            release: release.to_owned(),
            colour: Colour::Blue,
            ready,
            desired,
            problem: None,
        }
    }

    #[test]
    fn a_release_runs_when_all_replicas_of_all_sets_are_ready() {
        let release = ReleaseNumber::new(2);
        let is_running = |sets: &[ReplicaSet]| release.is_some_and(|r| is_running(sets, r));
        assert!(is_running(&[set("r2", 3, 3)]));
        for sets in [
            vec![],
            vec![set("r2", 2, 3)],
            vec![set("r2", 0, 0)],
            vec![set("r1", 3, 3)],
            vec![set("r2", 3, 3), set("r1", 1, 1)],
        ] {
            assert!(!is_running(&sets), "{sets:?}");
        }
    }

    #[test]
    fn a_failed_deploy_reports_what_serves() {
        let serving = |sets: &[ReplicaSet]| Serving(sets).to_string();
        assert_eq!(serving(&[set("r1", 1, 1)]), "r1 is still serving");
        assert_eq!(
            serving(&[set("r1", 1, 2), set("r2", 2, 2)]),
            "r2 is still serving"
        );
        assert_eq!(serving(&[set("r1", 0, 0)]), "no earlier release is running");
    }
}
