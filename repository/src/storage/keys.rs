//! The layout of the store.
//!
//! ```text
//! apps/{app}/log/{n}.json          an entry of the app's log
//! apps/{app}/segments/{n}.jsonl    copies of a thousand entries, read at once
//! names/{app}                      an empty object, for listing apps
//! blobs/{id}                       bytes of an upload; a log references them
//! proofs/{id}                      created and deleted at each start
//! uploads/{id}                     on a disk: a file being written
//! ```
//!
//! The default layer and the tokens have logs, too: `_default` and `_tokens`, which no app can be named.

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

pub(crate) const DEFAULT_OWNER: &str = "_default";
const TOKENS_OWNER: &str = "_tokens";

/// A key. It consists of checked names and numbers, so as a path it stays below the root.
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

/// The owner of a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The layer under every app.
    DefaultLayer,
    /// The tokens of the server.
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

/// The id of a blob. Ids sort by the time at which their uploads began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BlobId(Uuid);

impl BlobId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When the upload began, in seconds since the epoch.
    pub(crate) fn began(self) -> u64 {
        self.0
            .get_timestamp()
            .map_or(0, |timestamp| timestamp.to_unix().0)
    }

    /// Time since the upload began. A start in the future comes from another clock, and counts as now.
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

/// The key of entry `number`, from 1 on. Padded, so that keys sort like numbers.
pub(crate) fn entry(owner: &Owner, number: u64) -> Key {
    Key(format!("{APPS}/{owner}/log/{number:010}.json"))
}

/// The number in the name of an entry.
pub(crate) fn entry_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    let number = digits.parse().ok()?;
    (number > 0 && digits == format!("{number:010}")).then_some(number)
}

/// The prefix of a log's entries.
pub(crate) fn log(owner: &Owner) -> String {
    format!("{APPS}/{owner}/log")
}

/// The key of segment `number`, from 0 on.
pub(crate) fn segment(owner: &Owner, number: u64) -> Key {
    Key(format!("{APPS}/{owner}/segments/{number:07}.jsonl"))
}

/// The key that lists an app. Directories would sort differently from names: `a-b/` comes before `a/`.
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
    fn an_id_contains_the_start_of_its_upload() {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let id = BlobId::new();
        assert!((now..=now + 1).contains(&id.began()));
        assert_eq!(id.to_string().parse::<BlobId>().unwrap(), id);
        assert!("../secret".parse::<BlobId>().is_err());
    }
}
