//! `platformer rollback APP`: back to what was live before, config included.

use std::time::Duration;

use anyhow::Context as _;
use repository_api::{AppReference, Reference, ReleaseNumber};

use crate::deploy::{self, Strategy};
use crate::environment::{self, Environment};
use crate::repository::{Move, Repository};
use crate::running;
use crate::say::say;

pub(crate) fn run(
    environment: Environment,
    app: &str,
    strategy: Option<Strategy>,
    patience: Duration,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let repository = Repository::of(environment)?;
    let history = repository.history(&app, environment.channel())?;
    let running = deploy::running(environment, &app)?;
    let current = match running::live(&running) {
        Some(running) => Some(running.release.parse()?),
        None => repository.channel(&app, environment.channel())?,
    };
    let current =
        current.with_context(|| format!("{app} was never deployed to {}", environment.name()))?;
    let moved = before(&history, current).with_context(|| {
        format!("nothing was live before {current}: there is nothing to go back to")
    })?;
    say(&format!(
        "{current} → {}, which was made live at {} by {}",
        moved.to, moved.at, moved.by
    ));
    let reference = AppReference {
        reference: Some(Reference::Release(moved.to.parse()?)),
        app,
    };
    deploy::run(environment, &reference, strategy, patience, false)
}

/// What was live before a release was so for the first time: so a second rollback goes further back, and one
/// after a new deploy does not go to what was rolled back from.
fn before(history: &[Move], current: ReleaseNumber) -> Option<&Move> {
    let current = current.to_string();
    let first = history.iter().rposition(|moved| moved.to == current);
    match first {
        Some(first) => history.get(first + 1),
        // It is being tried, or was started by hand: the channel says what was live.
        None => history.first(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Oldest first, as they happened.
    fn goes_back_to(moves: &[&str], current: u64) -> Option<String> {
        let history: Vec<Move> = moves
            .iter()
            .rev()
            .map(|to| Move {
                at: String::new(),
                by: String::new(),
                to: (*to).to_owned(),
            })
            .collect();
        before(&history, ReleaseNumber::new(current).unwrap()).map(|moved| moved.to.clone())
    }

    #[test]
    fn it_goes_further_back_each_time_and_never_to_what_was_left() {
        assert_eq!(goes_back_to(&["r1", "r2", "r3"], 3).as_deref(), Some("r2"));
        assert_eq!(
            goes_back_to(&["r1", "r2", "r3", "r2"], 2).as_deref(),
            Some("r1")
        );
        assert_eq!(
            goes_back_to(&["r1", "r2", "r3", "r2", "r5"], 5).as_deref(),
            Some("r2")
        );
        assert_eq!(goes_back_to(&["r1"], 1), None);
        assert_eq!(goes_back_to(&["r1"], 2).as_deref(), Some("r1"));
    }
}
