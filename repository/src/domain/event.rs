//! Events, by kind of log. The store keeps their JSON, so every later version must read it.

use repository_api::release::LayerName;
use repository_api::{ChannelName, Digest, FileName, VersionName};
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::scope::Scope;
use super::token::{Hash, TokenName};
use crate::storage::keys::BlobId;

/// An event in the log of an app.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum AppEvent {
    /// A file of a version.
    Publish {
        version: VersionName,
        file: FileName,
        blob: BlobId,
        /// Bytes.
        size: u64,
        sha256: Digest,
    },
    /// Another blob holds the bytes now, because the first one was damaged.
    Heal {
        version: VersionName,
        file: FileName,
        blob: BlobId,
    },
    Yank {
        version: VersionName,
        yanked: bool,
    },
    /// Deletes the version's bytes for ever; its name stays taken.
    Purge {
        version: VersionName,
    },
    /// The next generation of a layer.
    Configure {
        layer: LayerName,
        sha256: Digest,
        content: String,
    },
    /// The next release, which seals its version.
    Release {
        /// The text of the statement, byte for byte as it is served and signed.
        statement: String,
    },
    /// A channel points at another release.
    Move {
        channel: ChannelName,
        release: u64,
    },
    /// Whether a channel takes signed releases only.
    Restrict {
        channel: ChannelName,
        signed_only: bool,
    },
    /// A release's signature: the file as minisign wrote it.
    Sign {
        release: u64,
        minisig: String,
    },
    /// The app's retention policy.
    Retain {
        policy: Policy,
    },
}

/// An event in the log of the layer under every app.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum DefaultLayerEvent {
    Configure {
        layer: LayerName,
        sha256: Digest,
        content: String,
    },
}

/// An event in the log of the tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum TokenEvent {
    Grant {
        token: TokenName,
        hash: Hash,
        scopes: Vec<Scope>,
        /// When the token expires (RFC 3339), if it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<String>,
    },
    Revoke {
        token: TokenName,
    },
}

/// Omits the content of a config, which may hold secrets.
impl std::fmt::Debug for AppEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Publish { .. } => "Publish",
            Self::Heal { .. } => "Heal",
            Self::Yank { .. } => "Yank",
            Self::Purge { .. } => "Purge",
            Self::Configure { .. } => "Configure",
            Self::Release { .. } => "Release",
            Self::Move { .. } => "Move",
            Self::Restrict { .. } => "Restrict",
            Self::Sign { .. } => "Sign",
            Self::Retain { .. } => "Retain",
        })
    }
}

/// Omits the content, which may hold secrets.
impl std::fmt::Debug for DefaultLayerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configure")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Existing stores contain these lines.
    #[test]
    fn the_json_of_events_stays_as_it_was() {
        let digest = "0".repeat(64);
        let configure = format!(
            r#"{{"event":"configure","layer":"default","sha256":"{digest}","content":"A=1\n"}}"#
        );
        let event: DefaultLayerEvent = serde_json::from_str(&configure).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), configure);
        let grant = format!(
            r#"{{"event":"grant","token":"ci","hash":"{digest}","scopes":["publish:hello"]}}"#
        );
        let revoke = r#"{"event":"revoke","token":"ci"}"#;
        for text in [grant.as_str(), revoke] {
            let event: TokenEvent = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), text);
        }
        let moved = r#"{"event":"move","channel":"stable","release":3}"#;
        let event: AppEvent = serde_json::from_str(moved).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), moved);
        assert!(serde_json::from_str::<TokenEvent>(moved).is_err());
    }
}
