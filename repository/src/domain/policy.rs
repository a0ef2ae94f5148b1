//! A retention policy: which versions of an app are kept, and how many bytes it may have.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use repository_api::units;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// How many of the greatest versions stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<usize>,
    /// How long a version stays after it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_for: Option<Duration>,
    /// Maximum size of all artefacts in bytes.
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
