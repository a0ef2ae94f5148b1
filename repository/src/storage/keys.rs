//! Where everything lies in the store.
//!
//! ```text
//! blobs/{id}                                        bytes of an upload
//! artefacts/{app}/{version}/{file}/record.json      names a blob
//! seals/{app}/{version}/seal.json                   the files of a version, once released
//! yanks/{app}/{version}/{n}.json                    log
//! config/{app}/{layer}/{n}.json                     log; the layer under every app is _default/default
//! releases/{app}/{n}.json                           log
//! signatures/{app}/{n}/signature.json               the signature of release n
//! channels/{app}/{channel}/{n}.json                 log
//! proofs/{id}                                       made and deleted at each start
//! ```
//!
//! A file name stands as a directory: names may have 255 bytes, and a store on disk needs a few more
//! for the name of its temporary file.

use object_store::path::Path;
use repository_api::release::LayerName;
use repository_api::{AppName, ChannelName, FileName, VersionName};

pub(crate) const ARTEFACTS: &str = "artefacts";
pub(crate) const SEALS: &str = "seals";
pub(crate) const YANKS: &str = "yanks";
pub(crate) const CONFIG: &str = "config";
pub(crate) const RELEASES: &str = "releases";
pub(crate) const CHANNELS: &str = "channels";

const SIGNATURES: &str = "signatures";

/// The place of the layer under every app: `_` begins no app name.
pub(crate) const DEFAULT_OWNER: &str = "_default";

/// Every prefix, so that its directory is there, and durable, before the first write below it.
pub(crate) const PREFIXES: [&str; 9] = [
    "blobs", ARTEFACTS, SEALS, YANKS, CONFIG, RELEASES, SIGNATURES, CHANNELS, PROOFS,
];

const PROOFS: &str = "proofs";

pub(crate) fn proof(id: &str) -> Path {
    Path::from_iter([PROOFS, id])
}

pub(crate) fn blob(id: &str) -> Path {
    Path::from_iter(["blobs", id])
}

pub(crate) fn artefact(app: &AppName, version: &VersionName, file: &FileName) -> Path {
    Path::from_iter([
        ARTEFACTS,
        app.as_str(),
        version.as_str(),
        file.as_str(),
        "record.json",
    ])
}

pub(crate) fn seal(app: &AppName, version: &VersionName) -> Path {
    Path::from_iter([SEALS, app.as_str(), version.as_str(), "seal.json"])
}

pub(crate) fn yanks(app: &AppName, version: &VersionName) -> Path {
    Path::from_iter([YANKS, app.as_str(), version.as_str()])
}

pub(crate) fn layer(app: &AppName, layer: &LayerName) -> Path {
    match layer {
        LayerName::Default => Path::from_iter([CONFIG, DEFAULT_OWNER, "default"]),
        _ => Path::from_iter([CONFIG, app.as_str(), layer.as_str()]),
    }
}

pub(crate) fn releases(app: &AppName) -> Path {
    Path::from_iter([RELEASES, app.as_str()])
}

pub(crate) fn signature(app: &AppName, release: u64) -> Path {
    Path::from_iter([
        SIGNATURES,
        app.as_str(),
        &release.to_string(),
        "signature.json",
    ])
}

pub(crate) fn channel(app: &AppName, channel: &ChannelName) -> Path {
    Path::from_iter([CHANNELS, app.as_str(), channel.as_str()])
}
