//! The release document.
//!
//! The statement travels as text, byte for byte as it is signed. Receivers parse that text.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::names::{AppName, EnvironmentName, FileName, VersionName};

/// `GET /releases/{app}/{reference}[?environment=E]`. Receivers ignore unknown
/// fields, so that a newer repository can add fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDocument {
    /// A [`Statement`] as JSON.
    pub statement: String,
    /// The statement's minisign signature, if it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The content of the layers that apply: default, app, and the requested environment.
    #[serde(default)]
    pub config: Vec<LayerContent>,
}

/// The artefacts and the config of a release, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub app: AppName,
    /// Absent for `latest` and versions, which have no release number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
    pub version: VersionName,
    pub artefacts: Vec<Artefact>,
    /// Every layer of the app, for all environments.
    #[serde(default)]
    pub config: Vec<LayerPin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    pub file: FileName,
    /// Bytes.
    pub size: u64,
    pub sha256: Digest,
}

/// A layer at one generation, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPin {
    pub layer: LayerName,
    pub generation: u64,
    pub sha256: Digest,
}

/// A layer's text, as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerContent {
    pub layer: LayerName,
    pub content: String,
}

/// The layers of an app's config. Later layers win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LayerName {
    /// The layer under every app.
    Default,
    App,
    Environment(EnvironmentName),
}

impl LayerName {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::App => "app",
            Self::Environment(name) => name.as_str(),
        }
    }

    /// Whether an app in `environment` gets the layer.
    pub fn applies_to(&self, environment: Option<&EnvironmentName>) -> bool {
        match self {
            Self::Default | Self::App => true,
            Self::Environment(name) => environment == Some(name),
        }
    }
}

impl std::fmt::Display for LayerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<LayerName> for String {
    fn from(layer: LayerName) -> String {
        layer.as_str().to_owned()
    }
}

impl TryFrom<String> for LayerName {
    type Error = crate::names::NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "default" => Ok(Self::Default),
            "app" => Ok(Self::App),
            _ => text.parse().map(Self::Environment),
        }
    }
}

impl Statement {
    /// The text that is stored, served and signed.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT: &str = r#"{"app":"hello-world","release":42,"version":"1.0.0","artefacts":[{"file":"hello-world-1.0.0.tar.gz","size":1048576,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}],"config":[{"layer":"default","generation":3,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},{"layer":"production","generation":2,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#;

    #[test]
    fn statement_round_trips_byte_for_byte() {
        assert_eq!(
            Statement::from_text(STATEMENT).unwrap().to_text(),
            STATEMENT
        );
    }

    #[test]
    fn unknown_fields_are_ignored_and_bad_names_are_not() {
        let more = STATEMENT.replacen('{', r#"{"future":true,"#, 1);
        assert!(Statement::from_text(&more).is_ok());
        assert!(
            Statement::from_text(&STATEMENT.replace("hello-world-1.0.0.tar.gz", "../x")).is_err()
        );
    }

    #[test]
    fn layers_sort_as_they_apply() {
        let mut layers: Vec<LayerName> = ["zebra", "app", "aaa", "default"]
            .into_iter()
            .map(|name| name.to_owned().try_into().unwrap())
            .collect();
        layers.sort();
        let names: Vec<&str> = layers.iter().map(LayerName::as_str).collect();
        assert_eq!(names, ["default", "app", "aaa", "zebra"]);
    }
}
