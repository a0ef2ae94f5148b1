//! What of an app is kept, and how much there may be: its policy, and what follows from it.
//!
//! A version goes only if every rule that is given lets it go; and never one that `latest` means, or that
//! one of a channel's recent releases names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use repository_api::VersionName;
use repository_api::units;
use serde::{Deserialize, Serialize};

use crate::domain::catalogue::AppState;

/// Releases that each channel pointed at last, whose versions stay: one can roll back to them.
const RECENT: usize = 10;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// So many of the greatest versions stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<usize>,
    /// What was published so short a time ago stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_for: Option<Duration>,
    /// Bytes of all its artefacts at the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota: Option<u64>,
}

const EXPECTED: &str =
    "expected words such as keep=10, keep-for=720h, quota=20GiB, and each of them once";

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), &'static str> {
            match (value, place.is_none()) {
                (Some(value), true) => {
                    *place = Some(value);
                    Ok(())
                }
                _ => Err(EXPECTED),
            }
        }
        let mut policy = Self::default();
        for word in text.split_whitespace() {
            match word.split_once('=').ok_or(EXPECTED)? {
                ("keep", value) => {
                    let count = value.parse().ok().filter(|count| *count > 0);
                    once(&mut policy.keep, count)
                }
                ("keep-for", value) => once(&mut policy.keep_for, units::duration(value).ok()),
                ("quota", value) => once(&mut policy.quota, units::size(value).ok()),
                _ => Err(EXPECTED),
            }?;
        }
        Ok(policy)
    }
}

/// As it is written.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(keep) = self.keep {
            writeln!(f, "keep={keep}")?;
        }
        if let Some(keep_for) = self.keep_for {
            writeln!(f, "keep-for={}ms", keep_for.as_millis())?;
        }
        if let Some(quota) = self.quota {
            writeln!(f, "quota={quota}B")?;
        }
        Ok(())
    }
}

impl AppState {
    /// The versions that its policy lets go.
    pub(crate) fn expired(&self, now: SystemTime) -> Vec<VersionName> {
        let Policy { keep, keep_for, .. } = self.policy;
        if keep.is_none() && keep_for.is_none() {
            return Vec::new();
        }
        let needed = self.needed();
        let there = self.versions.iter().filter(|(_, state)| !state.is_empty());
        let is_young = |created: &str| {
            let age = humantime::parse_rfc3339(created)
                .ok()
                .and_then(|created| now.duration_since(created).ok());
            // What is from the future was published just now, by another clock.
            age.is_none_or(|age| keep_for.is_some_and(|keep_for| age < keep_for))
        };
        there
            .rev()
            .skip(keep.unwrap_or(0))
            .filter(|(version, state)| {
                !needed.contains(*version)
                    && !state.files().any(|(_, record)| is_young(&record.created))
            })
            .map(|(version, _)| version.clone())
            .collect()
    }

    /// The versions that somebody may ask for at any time.
    fn needed(&self) -> BTreeSet<&VersionName> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        let policy: Policy = "keep=10 keep-for=720h\nquota=20GiB\n".parse().unwrap();
        assert_eq!(policy.keep, Some(10));
        assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy);
        assert_eq!("".parse::<Policy>().unwrap(), Policy::default());
        for bad in [
            "keep",
            "keep=0",
            "keep=1 keep=2",
            "keep=-1",
            "quota=much",
            "days=3",
        ] {
            assert!(bad.parse::<Policy>().is_err(), "{bad}");
        }
    }
}
