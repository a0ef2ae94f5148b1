//! Names, validated once at the border. A value of one of these types has been checked; nothing
//! behind the border checks again.

mod reference;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use reference::{AppReference, Reference, ReleaseNumber};

/// Why a name was refused: complete after "failed to", with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

impl NameError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What a refused name is shown as: quoted, printable, short.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    format!("{short:?}")
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`: one DNS label (RFC 1123), because it is also the host
    /// name behind the load balancer.
    AppName,
    check_app
);
name!(
    /// `[a-z][a-z0-9-]{0,62}`, not of the form of a release, not `latest`.
    ChannelName,
    check_channel
);
name!(
    /// `[a-z][a-z0-9-]{0,62}`, not of the form of a release, not `app` or `default`.
    EnvironmentName,
    check_environment
);
name!(
    /// `[A-Za-z0-9][A-Za-z0-9._+-]{0,254}`, without the endings of the sidecars.
    FileName,
    check_file
);

/// `[0-9][A-Za-z0-9._+-]{0,127}`; ordered by [`crate::version`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionName(String);

impl VersionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VersionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_version(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for VersionName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<VersionName> for String {
    fn from(name: VersionName) -> String {
        name.0
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().copied().all(allowed)
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_file_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)
}

fn has_release_form(text: &str) -> bool {
    text.strip_prefix('r').is_some_and(|digits| {
        !digits.starts_with('0') && is_all(digits, |byte| byte.is_ascii_digit())
    })
}

fn check_app(text: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_label_byte)
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        return Ok(());
    }
    Err(NameError::new(format!(
        "{} is no app name: use 1 to 63 of a-z, 0-9 and -, with no - at either end",
        shown(text)
    )))
}

fn check_label(text: &str, what: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_label_byte)
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase());
    if !fits {
        return Err(NameError::new(format!(
            "{} is no {what} name: use 1 to 63 of a-z, 0-9 and -, beginning with a letter",
            shown(text)
        )));
    }
    if has_release_form(text) {
        return Err(NameError::new(format!(
            "{} is no {what} name: it has the form of a release; choose another",
            shown(text)
        )));
    }
    Ok(())
}

fn check_channel(text: &str) -> Result<(), NameError> {
    check_label(text, "channel")?;
    if text == "latest" {
        return Err(NameError::new(
            "\"latest\" is no channel name: it is computed from the versions; use another, such as stable",
        ));
    }
    Ok(())
}

fn check_environment(text: &str) -> Result<(), NameError> {
    check_label(text, "environment")?;
    if text == "app" || text == "default" {
        return Err(NameError::new(format!(
            "{} is no environment name: it names a layer that every app has; choose another",
            shown(text)
        )));
    }
    Ok(())
}

fn check_version(text: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_file_byte)
        && text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_digit());
    if fits {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix(['v', 'V'])
        && check_version(rest).is_ok()
    {
        return Err(NameError::new(format!(
            "{} is no version: a version begins with a digit; write {rest}",
            shown(text)
        )));
    }
    if (7..=64).contains(&text.len()) && is_all(text, |byte| byte.is_ascii_hexdigit()) {
        return Err(NameError::new(format!(
            "{} is no version: a commit id has no order; write a number before it, as in 1.0.0+{text}",
            shown(text)
        )));
    }
    Err(NameError::new(format!(
        "{} is no version: begin with a digit and use up to 128 of A-Z, a-z, 0-9, . _ + and -, as in 1.0.0",
        shown(text)
    )))
}

fn check_file(text: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_file_byte)
        && text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !fits {
        return Err(NameError::new(format!(
            "{} is no file name: begin with a letter or digit and use up to 255 of A-Z, a-z, 0-9, . _ + and -",
            shown(text)
        )));
    }
    if text == "yanked" {
        return Err(NameError::new(
            "\"yanked\" is no file name: its address tells whether the version is yanked; choose another",
        ));
    }
    if let Some(ending) = [".sha256", ".minisig"]
        .into_iter()
        .find(|ending| text.ends_with(ending))
    {
        return Err(NameError::new(format!(
            "{} is no artefact: {ending} is the ending of a sidecar; choose another name",
            shown(text)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_dns_labels() {
        for good in ["a", "0", "hello-world", &"a".repeat(63)] {
            assert!(good.parse::<AppName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "..",
            "a/b",
            &"a".repeat(64),
            "ä",
        ] {
            assert!(bad.parse::<AppName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_keep_clear_of_releases_and_reserved_words() {
        for good in ["stable", "r", "r0", "r01", "rc1", "production"] {
            assert!(good.parse::<ChannelName>().is_ok(), "{good}");
            assert!(good.parse::<EnvironmentName>().is_ok(), "{good}");
        }
        for bad in ["r1", "r42", "1a", "-a", "Stable"] {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad}");
            assert!(bad.parse::<EnvironmentName>().is_err(), "{bad}");
        }
        assert!("latest".parse::<ChannelName>().is_err());
        assert!("latest".parse::<EnvironmentName>().is_ok());
        assert!("app".parse::<EnvironmentName>().is_err());
        assert!("default".parse::<EnvironmentName>().is_err());
    }

    #[test]
    fn refused_versions_say_what_to_write() {
        let refused = |text: &str| text.parse::<VersionName>().unwrap_err().to_string();
        assert!(refused("v1.2.3").ends_with("write 1.2.3"));
        assert!(refused("abcdef1234").ends_with("as in 1.0.0+abcdef1234"));
        assert!(refused("..").contains("begin with a digit"));
        assert!(refused(&format!("1{}", "0".repeat(128))).contains("up to 128"));
        assert!(
            format!("1{}", "0".repeat(127))
                .parse::<VersionName>()
                .is_ok()
        );
    }

    #[test]
    fn files_are_not_sidecars() {
        assert!("hello-1.0.0.tar.gz".parse::<FileName>().is_ok());
        for bad in ["", ".hidden", "a.sha256", "a.minisig", "a b", "a/b", "../a"] {
            assert!(bad.parse::<FileName>().is_err(), "{bad}");
        }
    }
}
