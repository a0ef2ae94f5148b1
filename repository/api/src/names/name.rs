//! The types of names. A value was checked against its grammar when it was made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::grammar::{
    NameError, check_app, check_channel, check_environment, check_file, check_version,
};

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
    /// `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`: one DNS label (RFC 1123), because the app name is
    /// also the host name behind the load balancer.
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
