//! The replicas of an app, as an engine reports them.

use std::fmt;
use std::str::FromStr;

/// Tells two sets of replicas of one app apart: they run side by side during a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Blue,
    Green,
}

impl Colour {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Colour {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "blue" => Ok(Self::Blue),
            "green" => Ok(Self::Green),
            _ => Err(()),
        }
    }
}

/// Replicas of one release that get traffic from the load balancer.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaSet {
    pub(crate) app: String,
    pub(crate) release: String,
    pub(crate) colour: Colour,
    pub(crate) ready: usize,
    pub(crate) desired: usize,
    /// The engine's message about a replica that is not ready.
    pub(crate) problem: Option<String>,
}

/// The set that serves. After an interrupted deploy there may be two; the one with more ready replicas counts.
pub(crate) fn live(sets: &[ReplicaSet]) -> Option<&ReplicaSet> {
    sets.iter().max_by_key(|set| set.ready)
}
