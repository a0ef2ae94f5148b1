//! Scopes: what a token covers, and what a request needs.

use std::fmt;
use std::str::FromStr;

use repository_api::{AppName, ChannelName};
use serde::{Deserialize, Serialize};

use crate::storage::keys::DEFAULT_OWNER;

/// What a token allows. As text: `admin`, `read:APP`, `publish:APP`, `config:APP`, `release:APP/CHANNEL`; `*` for any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Scope {
    Admin,
    Read(Any<AppName>),
    Publish(Any<AppName>),
    Config(Any<LayerOwner>),
    Release(Any<AppName>, Any<ChannelName>),
}

/// One name, or a wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Any<T> {
    Any,
    One(T),
}

/// The owner of config layers: one app, or the layer under every app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LayerOwner {
    Default,
    App(AppName),
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a scope: expected admin, read:APP, publish:APP, config:APP or release:APP/CHANNEL, with * for any app or channel"
)]
pub(crate) struct ScopeError(String);

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any token.
    Valid,
    Admin,
    /// To read one app, or all apps.
    Read(Option<AppName>),
    /// To read the default layer, which a token that reads any app may do.
    ReadDefault,
    Publish(AppName),
    Config(LayerOwner),
    /// To release to one channel, or to all channels of the app.
    Release(AppName, Option<ChannelName>),
}

impl Need {
    pub(crate) fn config_of(app: &AppName) -> Self {
        Self::Config(LayerOwner::App(app.clone()))
    }

    pub(crate) fn config_of_default() -> Self {
        Self::Config(LayerOwner::Default)
    }
}

impl<T: PartialEq> Any<T> {
    fn covers(&self, wanted: &T) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == wanted,
        }
    }
}

impl Scope {
    pub(crate) fn covers(&self, need: &Need) -> bool {
        match (self, need) {
            (Self::Admin, _)
            | (_, Need::Valid)
            | (Self::Read(_), Need::ReadDefault)
            | (Self::Read(Any::Any), Need::Read(None)) => true,
            (Self::Read(apps), Need::Read(Some(app)))
            | (Self::Publish(apps), Need::Publish(app))
            | (Self::Release(apps, Any::Any), Need::Release(app, None)) => apps.covers(app),
            (Self::Config(layers), Need::Config(layer)) => layers.covers(layer),
            (Self::Release(apps, channels), Need::Release(app, Some(channel))) => {
                apps.covers(app) && channels.covers(channel)
            }
            _ => false,
        }
    }
}

impl<T: FromStr> FromStr for Any<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.parse().map(Self::One)
    }
}

impl<T: fmt::Display> fmt::Display for Any<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(one) => one.fmt(f),
        }
    }
}

impl FromStr for LayerOwner {
    type Err = repository_api::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == DEFAULT_OWNER {
            return Ok(Self::Default);
        }
        text.parse().map(Self::App)
    }
}

impl fmt::Display for LayerOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str(DEFAULT_OWNER),
            Self::App(app) => app.fmt(f),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let invalid = || ScopeError(text.to_owned());
        if text == "admin" {
            return Ok(Self::Admin);
        }
        let (action, target) = text.split_once(':').ok_or_else(invalid)?;
        match action {
            "read" => target.parse().map(Self::Read).map_err(|_| invalid()),
            "publish" => target.parse().map(Self::Publish).map_err(|_| invalid()),
            "config" => target.parse().map(Self::Config).map_err(|_| invalid()),
            "release" => {
                let (app, channel) = target.split_once('/').ok_or_else(invalid)?;
                Ok(Self::Release(
                    app.parse().map_err(|_| invalid())?,
                    channel.parse().map_err(|_| invalid())?,
                ))
            }
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Read(app) => write!(f, "read:{app}"),
            Self::Publish(app) => write!(f, "publish:{app}"),
            Self::Config(layer) => write!(f, "config:{layer}"),
            Self::Release(app, channel) => write!(f, "release:{app}/{channel}"),
        }
    }
}

/// Formats the scope that covers the need.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => f.write_str("any scope"),
            Self::Admin => f.write_str("admin"),
            Self::Read(Some(app)) => write!(f, "read:{app}"),
            Self::Read(None) => f.write_str("read:*"),
            Self::ReadDefault => f.write_str("read, of any app"),
            Self::Publish(app) => write!(f, "publish:{app}"),
            Self::Config(layer) => write!(f, "config:{layer}"),
            Self::Release(app, Some(channel)) => write!(f, "release:{app}/{channel}"),
            Self::Release(app, None) => write!(f, "release:{app}/*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(text: &str) -> Need {
        let app = |name: &str| name.parse().unwrap();
        match text.split_once(':').unwrap_or((text, "")) {
            ("admin", _) => Need::Admin,
            ("valid", _) => Need::Valid,
            ("read", "") => Need::Read(None),
            ("read", "_default") => Need::ReadDefault,
            ("read", name) => Need::Read(Some(app(name))),
            ("publish", name) => Need::Publish(app(name)),
            ("config", name) => Need::Config(name.parse().unwrap()),
            ("release", name) => match name.split_once('/') {
                None => Need::Release(app(name), None),
                Some((name, channel)) => Need::Release(app(name), Some(channel.parse().unwrap())),
            },
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn a_scope_covers_what_it_says_and_no_more() {
        let needs = [
            "valid",
            "admin",
            "read",
            "read:_default",
            "read:a",
            "read:b",
            "publish:a",
            "publish:b",
            "config:a",
            "config:b",
            "config:_default",
            "release:a",
            "release:a/stable",
            "release:a/next",
            "release:b/stable",
        ];
        let cases: [(&str, &[&str]); 11] = [
            ("admin", &needs),
            ("read:a", &["valid", "read:_default", "read:a"]),
            (
                "read:*",
                &["valid", "read", "read:_default", "read:a", "read:b"],
            ),
            ("publish:a", &["valid", "publish:a"]),
            ("publish:*", &["valid", "publish:a", "publish:b"]),
            ("config:a", &["valid", "config:a"]),
            ("config:_default", &["valid", "config:_default"]),
            (
                "config:*",
                &["valid", "config:a", "config:b", "config:_default"],
            ),
            ("release:a/stable", &["valid", "release:a/stable"]),
            (
                "release:a/*",
                &["valid", "release:a", "release:a/stable", "release:a/next"],
            ),
            (
                "release:*/stable",
                &["valid", "release:a/stable", "release:b/stable"],
            ),
        ];
        for (text, covered) in cases {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.to_string(), text);
            for name in needs {
                let expected = covered.contains(&name);
                assert_eq!(scope.covers(&need(name)), expected, "{text} and {name}");
            }
        }
        for bad in [
            "",
            "read",
            "read:",
            "read:A",
            "read:_default",
            "release:a",
            "release:a/",
            "release:a/Latest",
            "write:a",
            "admin:a",
            "publish:a/b",
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
