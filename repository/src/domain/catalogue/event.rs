//! What can happen to an app. An app's log is a list of these, and its state is what follows from them;
//! so their JSON is what the store keeps, and must stay readable.

use repository_api::release::LayerName;
use repository_api::{ChannelName, Digest, FileName, VersionName};
use serde::{Deserialize, Serialize};

use crate::domain::policy::Policy;
use crate::domain::scope::Scope;
use crate::domain::token::{Hash, TokenName};
use crate::storage::keys::BlobId;

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// A file of a version.
    Publish {
        version: VersionName,
        file: FileName,
        blob: BlobId,
        /// Bytes.
        size: u64,
        sha256: Digest,
    },
    /// The same bytes lie in another blob, because the first one was damaged.
    Heal {
        version: VersionName,
        file: FileName,
        blob: BlobId,
    },
    Yank {
        version: VersionName,
        yanked: bool,
    },
    /// The version's bytes are deleted for ever, and its name is never used again.
    Purge {
        version: VersionName,
    },
    /// The next generation of a layer.
    Configure {
        layer: LayerName,
        sha256: Digest,
        content: String,
    },
    /// The next release; its version is sealed from here on.
    Release {
        /// The statement's text, byte for byte what is served and signed.
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
    /// What is kept from now on.
    Retain {
        policy: Policy,
    },
    /// A token, in the log of the tokens.
    Grant {
        token: TokenName,
        hash: Hash,
        scopes: Vec<Scope>,
        /// When it ends (RFC 3339), if it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<String>,
    },
    Revoke {
        token: TokenName,
    },
}

/// Shows no content of a config: it may hold secrets.
impl std::fmt::Debug for Event {
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
            Self::Grant { .. } => "Grant",
            Self::Revoke { .. } => "Revoke",
        })
    }
}
