//! What runs of an app, as the engine tells it.

use std::fmt;
use std::str::FromStr;

/// Two sets of an app may stand beside each other for the time of a deploy.
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

/// The set that counts, where two stand beside each other because a deploy was interrupted.
pub(crate) fn live(sets: &[Running]) -> Option<&Running> {
    sets.iter().max_by_key(|running| running.ready)
}

/// A set of replicas that the load balancer sees.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) app: String,
    pub(crate) release: String,
    pub(crate) colour: Colour,
    pub(crate) ready: usize,
    pub(crate) wanted: usize,
    /// What the engine says of one that is not ready.
    pub(crate) trouble: Option<String>,
}
