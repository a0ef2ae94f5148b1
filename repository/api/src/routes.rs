//! The paths of the HTTP interface, for clients. The end-to-end tests compare them with the server's
//! router.

use crate::names::{AppName, EnvironmentName, FileName, Reference, VersionName};
use crate::release::LayerName;

pub fn artefact(app: &AppName, version: &VersionName, file: &FileName) -> String {
    format!("/artefacts/{app}/{version}/{file}")
}

pub fn release(
    app: &AppName,
    reference: &Reference,
    environment: Option<&EnvironmentName>,
) -> String {
    match environment {
        None => format!("/releases/{app}/{reference}"),
        Some(environment) => format!("/releases/{app}/{reference}?environment={environment}"),
    }
}

/// A layer of an app's config, on a repository and on a plain file server.
pub fn config(app: &AppName, layer: &LayerName) -> String {
    match layer {
        LayerName::Default => "/config/_default/_default.config".to_owned(),
        LayerName::App => format!("/config/{app}/{app}.config"),
        LayerName::Environment(environment) => format!("/config/{app}/{environment}.config"),
    }
}

/// The path of the original design: the artefact of `latest`.
pub fn legacy_artefact(app: &AppName) -> String {
    format!("/files/{app}/{app}.tgz")
}

pub fn legacy_checksum(app: &AppName) -> String {
    format!("/files/{app}/{app}.tgz.sha256")
}
