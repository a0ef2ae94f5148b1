//! `platformer rollback APP`: returns to the release before the current one, config included.

use std::time::Duration;

use anyhow::Context as _;
use repository_api::{AppReference, Reference, ReleaseNumber};

use crate::deploy::{self, Strategy};
use crate::engine;
use crate::environment::{self, Environment};
use crate::output::print;
use crate::replica_set;
use crate::repository::{Promotion, Repository};

pub(crate) fn run(
    environment: Environment,
    app: &str,
    strategy: Option<Strategy>,
    timeout: Duration,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let repository = Repository::of(environment)?;
    let history = repository.history(&app, environment.channel())?;
    let sets = engine::of(environment).replica_sets(Some(&app))?;
    let current = match replica_set::live(&sets) {
        Some(live) => Some(live.release.parse()?),
        None => repository.channel(&app, environment.channel())?,
    };
    let current =
        current.with_context(|| format!("{app} was never deployed to {}", environment.name()))?;
    let previous = previous(&history, current).with_context(|| {
        format!(
            "{app} has no release before {current}: platformer releases {app} lists its releases"
        )
    })?;
    print(&format!(
        "{current} → {}, promoted at {} by {}",
        previous.release, previous.at, previous.by
    ));
    let reference = AppReference {
        reference: Some(Reference::Release(previous.release.parse()?)),
        app,
    };
    deploy::run(environment, &reference, strategy, timeout, false)
}

/// The promotion before the first promotion of `current`. A second rollback thus goes further back, and a rollback
/// after a new deploy skips a release that was rolled back earlier.
fn previous(history: &[Promotion], current: ReleaseNumber) -> Option<&Promotion> {
    let current = current.to_string();
    let first = history
        .iter()
        .rposition(|promotion| promotion.release == current);
    match first {
        Some(first) => history.get(first + 1),
        // The current release was never promoted: its deploy was interrupted, or someone started it by hand.
        None => history.first(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// `promotions` are in the order of time.
    fn returns_to(promotions: &[&str], current: u64) -> Option<String> {
        let history: Vec<Promotion> = promotions
            .iter()
            .rev()
            .map(|release| Promotion {
                at: String::new(),
                by: String::new(),
                release: (*release).to_owned(),
            })
            .collect();
        let current = ReleaseNumber::new(current).unwrap();
        previous(&history, current).map(|promotion| promotion.release.clone())
    }

    #[test]
    fn each_rollback_goes_further_back_and_skips_releases_that_were_rolled_back() {
        assert_eq!(returns_to(&["r1", "r2", "r3"], 3).as_deref(), Some("r2"));
        assert_eq!(
            returns_to(&["r1", "r2", "r3", "r2"], 2).as_deref(),
            Some("r1")
        );
        assert_eq!(
            returns_to(&["r1", "r2", "r3", "r2", "r5"], 5).as_deref(),
            Some("r2")
        );
        assert_eq!(returns_to(&["r1"], 1), None);
        assert_eq!(returns_to(&["r1"], 2).as_deref(), Some("r1"));
    }
}
