//! Errors of domain operations. The text of a variant says what is wrong; `crate::http::failure` adds the HTTP status
//! and the next step.

use repository_api::config::ConfigError;
use repository_api::release::LayerName;
use repository_api::units::show_size;
use repository_api::{
    AppName, ChannelName, Digest, FileName, NameError, ReleaseNumber, VersionName,
};

use super::token::TokenName;
use crate::storage::{StorageError, chain};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Other writers won every attempt.
    #[error("too many concurrent writes: nothing was changed")]
    Contended,
    /// The process stops while a write is under way.
    #[error("the repository stopped during the write: nothing was acknowledged")]
    Interrupted,
    #[error("failed to read the file that REPOSITORY_TRUSTED_KEYS_FILE names: nothing was changed")]
    UnreadableKeys,
    /// `gc` may already treat the blob as unreferenced.
    #[error("the upload waited too long to be recorded: nothing was published")]
    UploadExpired,
    #[error("the quota of {app} is {}, and {} are in use", show_size(*.quota), show_size(*.used))]
    OverQuota {
        app: AppName,
        /// Bytes.
        quota: u64,
        /// Bytes.
        used: u64,
    },

    #[error(transparent)]
    InvalidName(#[from] NameError),
    #[error("_default has one layer")]
    InvalidDefaultLayer,
    #[error("a config is named {0}.config, or ENVIRONMENT.config for one environment")]
    InvalidLayerFile(AppName),

    #[error("there is no app {0}")]
    UnknownApp(AppName),
    #[error("{app} has no version {version}")]
    UnknownVersion { app: AppName, version: VersionName },
    #[error("{app} {version} has no file {file}; its files: {}", names(.existing))]
    UnknownFile {
        app: AppName,
        version: VersionName,
        file: FileName,
        existing: Vec<String>,
    },
    #[error("{app} {version} was purged: its bytes are gone, and its name stays taken")]
    Purged { app: AppName, version: VersionName },
    #[error("{0} has no version")]
    NoVersion(AppName),
    #[error("{0} has no latest: each of its versions is a pre-release or yanked")]
    NoLatest(AppName),
    #[error("{app} has no channel {channel} ({})", existing_names(.existing))]
    UnknownChannel {
        app: AppName,
        channel: ChannelName,
        existing: Vec<String>,
    },
    #[error("{app} has no release {release}")]
    UnknownRelease {
        app: AppName,
        release: ReleaseNumber,
    },
    #[error("release {release} of {app} is not signed")]
    NotSigned {
        app: AppName,
        release: ReleaseNumber,
    },
    #[error("layer {layer} of {app} has no generation {generation}")]
    UnknownGeneration {
        app: String,
        layer: LayerName,
        generation: u64,
    },
    #[error("{0} has no config")]
    NoConfig(AppName),

    #[error(
        "{file} of {app} {version} exists with other bytes: it is sha256:{existing}, the upload is sha256:{received}"
    )]
    FileDiffers {
        app: AppName,
        version: VersionName,
        file: FileName,
        existing: Box<Digest>,
        received: Box<Digest>,
    },
    #[error("{app} {version} is sealed, because a release references it: {file} cannot be added")]
    Sealed {
        app: AppName,
        version: VersionName,
        file: FileName,
    },
    #[error("channel {channel} of {app} points at a release of {version}")]
    VersionInUse {
        app: AppName,
        version: VersionName,
        channel: ChannelName,
    },
    #[error("release {release} of {app} already has another signature")]
    AlreadySigned {
        app: AppName,
        release: ReleaseNumber,
    },
    #[error("token {0} already exists: revoke it first, or choose another name")]
    TokenExists(TokenName),
    #[error("no token {0}: repository token list lists the tokens")]
    UnknownToken(TokenName),

    /// The precondition names a generation that is not the current one.
    #[error("the layer has changed")]
    StaleLayer { current: Option<u64> },
    /// The precondition names a move that is not the newest one.
    #[error("channel {channel} of {app} has moved")]
    StaleChannel {
        app: AppName,
        channel: ChannelName,
        current: Option<u64>,
    },

    #[error("{file}, {error}")]
    InvalidConfig {
        file: String,
        error: ConfigError,
        /// The line, masked, with a caret below the place.
        excerpt: Option<String>,
    },
    #[error("layer {layer} at generation {generation}: {error}")]
    InvalidLayer {
        layer: LayerName,
        generation: u64,
        error: ConfigError,
    },
    #[error("{0} is not UTF-8")]
    NotUtf8(String),
    #[error("the body is neither a version nor a release: {0}")]
    InvalidTarget(NameError),
    #[error("{0} is neither a version nor a release")]
    NotATarget(String),
    #[error("{app} has no release {release}")]
    UnknownTarget {
        app: AppName,
        release: ReleaseNumber,
    },
    #[error("{}", unreleasable(.app, .version, *.reason, *.release))]
    Unreleasable {
        app: AppName,
        version: VersionName,
        reason: Unreleasable,
        /// The existing release that was to be released again.
        release: Option<ReleaseNumber>,
    },
    #[error(
        "channel {channel} of {app} takes signed releases only, and this server has no trusted keys"
    )]
    NoTrustedKeys { app: AppName, channel: ChannelName },
    #[error(
        "channel {channel} of {app} takes signed releases only, and a version would become a new, unsigned release"
    )]
    UnsignedVersion { app: AppName, channel: ChannelName },
    #[error(
        "channel {channel} of {app} takes signed releases only, and r{release} is refused: {reason}"
    )]
    UntrustedRelease {
        app: AppName,
        channel: ChannelName,
        release: u64,
        reason: String,
    },
    #[error("the body is not a minisign signature")]
    NotASignature,
    #[error("the signature has minisign's legacy format")]
    OldSignature,
}

/// Why a version cannot become a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreleasable {
    Unknown,
    Purged,
    Yanked,
}

impl Error {
    /// Whether the operation was refused. After any other error, a retry may succeed.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Storage(_)
                | Self::Contended
                | Self::Interrupted
                | Self::UnreadableKeys
                | Self::UploadExpired
        )
    }

    /// The error and its sources in one line, for the log.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// The first names, and the number of the others.
pub(crate) fn names(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn existing_names(existing: &[String]) -> String {
    if existing.is_empty() {
        "it has none".to_owned()
    } else {
        format!("existing channels: {}", names(existing))
    }
}

fn unreleasable(
    app: &AppName,
    version: &VersionName,
    reason: Unreleasable,
    release: Option<ReleaseNumber>,
) -> String {
    let reason = match reason {
        Unreleasable::Unknown => format!("{app} has no version {version}"),
        Unreleasable::Purged => format!("{app} {version} was purged: its bytes are gone"),
        Unreleasable::Yanked => format!("{app} {version} is yanked"),
    };
    match release {
        Some(release) => format!("{release} cannot be released again: {reason}"),
        None => reason,
    }
}
