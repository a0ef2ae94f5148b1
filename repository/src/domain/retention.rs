//! Retention: sets the policy of an app, and finds the versions that expire.
//!
//! A version expires only if no rule of the policy keeps it, and never while it is `latest` or a version of a channel's
//! recent releases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use repository_api::{AppName, VersionName};

use super::catalogue::{Catalogue, Decision};
use super::completion::run_to_completion;
use super::error::Error;
use super::event::AppEvent;
use super::policy::Policy;
use super::state::app::AppState;

/// How many releases of each channel keep their versions.
const RECENT: usize = 10;

/// Sets the policy of an app; returns whether it changed.
pub(crate) async fn set_policy(
    catalogue: &Arc<Catalogue>,
    app: AppName,
    policy: Policy,
    by: String,
) -> Result<bool, Error> {
    let catalogue = Arc::clone(catalogue);
    run_to_completion(async move {
        let log = catalogue.known(&app).await?;
        log.commit(&by, |state| {
            if state.policy == policy {
                return Ok(Decision::Unchanged(false));
            }
            let policy = policy.clone();
            Ok(Decision::Append(vec![AppEvent::Retain { policy }], true))
        })
        .await
    })
    .await
}

impl AppState {
    /// The versions that no rule of the policy keeps.
    pub(crate) fn expired(&self, now: SystemTime) -> Vec<VersionName> {
        let Policy { keep, keep_for, .. } = self.policy;
        if keep.is_none() && keep_for.is_none() {
            return Vec::new();
        }
        let protected = self.protected();
        let published = self.versions.iter().filter(|(_, state)| !state.is_empty());
        let is_young = |created: &str| {
            let age = humantime::parse_rfc3339(created)
                .ok()
                .and_then(|created| now.duration_since(created).ok());
            // A time in the future comes from another clock, and counts as now.
            age.is_none_or(|age| keep_for.is_some_and(|keep_for| age < keep_for))
        };
        published
            .rev()
            .skip(keep.unwrap_or(0))
            .filter(|(version, state)| {
                !protected.contains(*version)
                    && !state.files().any(|(_, record)| is_young(&record.created))
            })
            .map(|(version, _)| version.clone())
            .collect()
    }

    /// `latest`, and the versions to which a channel can be rolled back.
    fn protected(&self) -> BTreeSet<&VersionName> {
        let recent = self.channels.values().flat_map(|moves| {
            let mut seen = BTreeSet::new();
            let newest_first = moves.values().rev().map(|entry| entry.release);
            newest_first
                .filter(|release| seen.insert(*release))
                .take(RECENT)
                .collect::<Vec<u64>>()
        });
        let versions = recent
            .filter_map(|release| self.releases.get(&release))
            .map(|release| &release.statement.version);
        versions.chain(self.latest()).collect()
    }
}
