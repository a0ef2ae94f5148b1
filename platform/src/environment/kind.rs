//! The kinds of environments.

use anyhow::bail;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One machine, on Compose.
    Training,
    /// A swarm.
    Production,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Production => "production",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "training" => Ok(Self::Training),
            "production" => Ok(Self::Production),
            _ => bail!("unknown environment {text:?}: use training or production"),
        }
    }
}
