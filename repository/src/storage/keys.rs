//! Where everything lies in the store.
//!
//! ```text
//! apps/{app}/log/{n}.json          what happened to an app, one entry after the other
//! apps/{app}/segments/{n}.jsonl    a thousand entries again, to be read at once
//! names/{app}                      an empty object, so that apps can be listed
//! blobs/{id}                       bytes of an upload; which are whose the logs say
//! proofs/{id}                      made and deleted at each start
//! uploads/{id}                     on a disk: what is being written
//! ```
//!
//! The layer under every app is nobody's, and neither are the tokens: their logs are those of `_default` and
//! `_tokens`, which are no apps' names.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use repository_api::AppName;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) const APPS: &str = "apps";
pub(crate) const NAMES: &str = "names";
pub(crate) const BLOBS: &str = "blobs";
pub(crate) const PROOFS: &str = "proofs";

/// Whose name no app can have.
pub(crate) const DEFAULT_OWNER: &str = "_default";
const TOKENS_OWNER: &str = "_tokens";

/// A key: made of checked names and numbers only, so it is a path below the root, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// Whose log it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The layer under every app.
    DefaultLayer,
    Tokens,
    App(AppName),
}

impl Owner {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::DefaultLayer => DEFAULT_OWNER,
            Self::Tokens => TOKENS_OWNER,
            Self::App(app) => app.as_str(),
        }
    }
}

impl FromStr for Owner {
    type Err = repository_api::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            DEFAULT_OWNER => Ok(Self::DefaultLayer),
            TOKENS_OWNER => Ok(Self::Tokens),
            app => app.parse().map(Self::App),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose bytes they are, the logs say. Sorted by the time at which the upload began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BlobId(Uuid);

impl BlobId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When its upload began: seconds since the epoch.
    pub(crate) fn began(self) -> u64 {
        self.0
            .get_timestamp()
            .map_or(0, |timestamp| timestamp.to_unix().0)
    }

    /// Since its upload began. What is from the future is from another clock, and new.
    pub(crate) fn age(self, now: SystemTime) -> Duration {
        now.duration_since(UNIX_EPOCH + Duration::from_secs(self.began()))
            .unwrap_or_default()
    }
}

impl FromStr for BlobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

/// Entry `number` of a log, from 1 on. Padded, so that keys sort as numbers do.
pub(crate) fn entry(owner: &Owner, number: u64) -> Key {
    Key(format!("{APPS}/{owner}/log/{number:010}.json"))
}

/// The number of the entry of this name.
pub(crate) fn entry_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    let number = digits.parse().ok()?;
    (number > 0 && digits == format!("{number:010}")).then_some(number)
}

/// Where a log lies.
pub(crate) fn log(owner: &Owner) -> String {
    format!("{APPS}/{owner}/log")
}

/// The `number`th thousand of entries, from 0 on.
pub(crate) fn segment(owner: &Owner, number: u64) -> Key {
    Key(format!("{APPS}/{owner}/segments/{number:07}.jsonl"))
}

/// As a directory an app would not sort as its name does: `a-b/` comes before `a/`.
pub(crate) fn name(app: &AppName) -> Key {
    Key(format!("{NAMES}/{app}"))
}

pub(crate) fn blob(id: BlobId) -> Key {
    Key(format!("{BLOBS}/{id}"))
}

pub(crate) fn proof(id: BlobId) -> Key {
    Key(format!("{PROOFS}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_know_when_they_began() {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let id = BlobId::new();
        assert!((now..=now + 1).contains(&id.began()));
        assert_eq!(id.to_string().parse::<BlobId>().unwrap(), id);
        assert!("../secret".parse::<BlobId>().is_err());
    }
}
