//! References to an app's release: a version, a release, a channel or `latest`.

use std::fmt;
use std::str::FromStr;

use super::grammar::{NameError, has_release_form, is_all, shown};
use super::name::{AppName, ChannelName, VersionName};

/// The number of an app's release, from 1; written `r42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseNumber(u64);

impl ReleaseNumber {
    /// `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    pub fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for ReleaseNumber {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.strip_prefix('r')
            .filter(|digits| {
                !digits.starts_with('0') && is_all(digits, |byte| byte.is_ascii_digit())
            })
            .and_then(|digits| digits.parse().ok())
            .and_then(Self::new)
            .ok_or_else(|| {
                NameError::new(format!(
                    "{} isn't a release: write r and its number, as in r42",
                    shown(text)
                ))
            })
    }
}

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The part of an app reference after the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The greatest version that is neither a pre-release nor yanked.
    Latest,
    Version(VersionName),
    Release(ReleaseNumber),
    Channel(ChannelName),
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if has_release_form(text) {
            return text.parse().map(Self::Release);
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return text.parse().map(Self::Version);
        }
        // `v1.0` is a mistyped version, not a channel: the version's error says what to write.
        if text
            .strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            return text.parse().map(Self::Version);
        }
        text.parse().map(Self::Channel)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Version(version) => version.fmt(f),
            Self::Release(release) => release.fmt(f),
            Self::Channel(channel) => channel.fmt(f),
        }
    }
}

/// `APP` or `APP@REF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppReference {
    pub app: AppName,
    /// `None` for a bare `APP`, which means `APP@latest`, and which a plain file server can serve, too.
    pub reference: Option<Reference>,
}

impl AppReference {
    /// The reference; of a bare `APP`, `latest`.
    pub fn resolved(&self) -> Reference {
        self.reference.clone().unwrap_or(Reference::Latest)
    }
}

impl FromStr for AppReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('@') {
            None => Ok(Self {
                app: text.parse()?,
                reference: None,
            }),
            Some((app, reference)) => Ok(Self {
                app: app.parse()?,
                reference: Some(reference.parse()?),
            }),
        }
    }
}

impl fmt::Display for AppReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            None => self.app.fmt(f),
            Some(reference) => write!(f, "{}@{reference}", self.app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_tell_their_kind() {
        let kind = |text: &str| text.parse::<AppReference>().map(|parsed| parsed.reference);
        assert_eq!(kind("hello"), Ok(None));
        assert_eq!(kind("hello@latest"), Ok(Some(Reference::Latest)));
        assert!(matches!(kind("hello@1.0"), Ok(Some(Reference::Version(_)))));
        assert!(matches!(kind("hello@r7"), Ok(Some(Reference::Release(_)))));
        assert!(matches!(
            kind("hello@stable"),
            Ok(Some(Reference::Channel(_)))
        ));
        assert!(kind("hello@").is_err());
        assert!(
            kind("hello@v1.0")
                .unwrap_err()
                .to_string()
                .ends_with("write 1.0")
        );
        assert!(kind("hello@r99999999999999999999").is_err());
    }
}
