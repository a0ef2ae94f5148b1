//! `platformer` commands on running environments.

mod archive;
mod domains;
mod edge;
mod first_hour;
mod isolation;
mod moments;
mod training;

use std::path::PathBuf;

use platformer_tests::http::{self, Response};
use platformer_tests::platform::Platform;
use xtask::build::Profile;
use xtask::pack;

/// Packs a sample app into a new directory, and returns the directory and the version.
fn packed(app: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let packed = pack::pack(app, directory.path(), Profile::Release).unwrap();
    (directory, packed.version)
}

/// Publishes and deploys a sample app.
fn publish_and_deploy(platform: &Platform, app: &str) {
    let (directory, version) = packed(app);
    let path = directory.path().display().to_string();
    platform.succeed(&["publish", app, &path, &version]);
    platform.succeed(&["deploy", &format!("{app}@{version}")]);
}

/// Sends `GET PATH` to the load balancer.
fn get(platform: &Platform, host: &str, path: &str) -> Response {
    http::request(platform.address, "GET", path, &[("Host", host)], b"")
}

/// Writes a temporary file.
fn file(platform: &Platform, name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{}-{name}", platform.name));
    std::fs::write(&path, text).unwrap();
    path
}
