//! The names of config files, and the layers that they hold.

use repository_api::release::LayerName;
use repository_api::{AppName, EnvironmentName};

use super::error::Error;
use super::scope::LayerOwner;

/// The owner of the layer under every app, in paths and on the disk. No app can have this name.
pub(crate) use crate::storage::keys::DEFAULT_OWNER;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LayerFile {
    /// The layer under every app.
    Default,
    App(AppName),
    Environment(AppName, EnvironmentName),
}

impl LayerFile {
    /// Reads the two names of `/config/{owner}/{file}`.
    pub(crate) fn parse(owner: &str, file: &str) -> Result<Self, Error> {
        let app = match owner.parse()? {
            LayerOwner::App(app) => app,
            LayerOwner::Default if file == "_default.config" => return Ok(Self::Default),
            LayerOwner::Default => return Err(Error::InvalidDefaultLayer),
        };
        let Some(name) = file.strip_suffix(".config") else {
            return Err(Error::InvalidLayerFile(app));
        };
        if name == app.as_str() {
            return Ok(Self::App(app));
        }
        let environment = name.parse()?;
        Ok(Self::Environment(app, environment))
    }

    /// The file of `layer` as `app` sees it.
    pub(crate) fn of(app: &AppName, layer: &LayerName) -> Self {
        match layer {
            LayerName::Default => Self::Default,
            LayerName::App => Self::App(app.clone()),
            LayerName::Environment(environment) => {
                Self::Environment(app.clone(), environment.clone())
            }
        }
    }

    /// The app that owns the layer; `None` for the layer under every app.
    pub(crate) fn app(&self) -> Option<&AppName> {
        match self {
            Self::Default => None,
            Self::App(app) | Self::Environment(app, _) => Some(app),
        }
    }

    pub(crate) fn owner(&self) -> &str {
        self.app().map_or(DEFAULT_OWNER, AppName::as_str)
    }

    pub(crate) fn layer(&self) -> LayerName {
        match self {
            Self::Default => LayerName::Default,
            Self::App(_) => LayerName::App,
            Self::Environment(_, environment) => LayerName::Environment(environment.clone()),
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Default => format!("{DEFAULT_OWNER}.config"),
            Self::App(app) => format!("{app}.config"),
            Self::Environment(_, environment) => format!("{environment}.config"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_layers_convert_to_each_other() {
        for (owner, file) in [
            ("_default", "_default.config"),
            ("hello", "hello.config"),
            ("hello", "production.config"),
        ] {
            let parsed = LayerFile::parse(owner, file).unwrap();
            assert_eq!((parsed.owner(), parsed.name().as_str()), (owner, file));
            let app = "hello".parse().unwrap();
            assert_eq!(LayerFile::of(&app, &parsed.layer()), parsed);
        }
        for (owner, file) in [
            ("_default", "production.config"),
            ("hello", "hello"),
            ("hello", "Production.config"),
            ("_tokens", "_tokens.config"),
        ] {
            assert!(LayerFile::parse(owner, file).is_err(), "{owner}/{file}");
        }
    }
}
