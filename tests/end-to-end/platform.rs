//! `platformer`, as somebody types it, on environments that are up.

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

/// A sample app, packed into a directory of its own.
fn packed(app: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let packed = pack::pack(app, directory.path(), Profile::Release).unwrap();
    (directory, packed.version)
}

/// Publishes a sample app and deploys it.
fn bring(platform: &Platform, app: &str) {
    let (directory, version) = packed(app);
    let path = directory.path().display().to_string();
    platform.succeed(&["publish", app, &path, &version]);
    platform.succeed(&["deploy", &format!("{app}@{version}")]);
}

/// `GET PATH` by way of the load balancer.
fn get(platform: &Platform, host: &str, path: &str) -> Response {
    http::request(platform.address, "GET", path, &[("Host", host)], b"")
}

fn file(platform: &Platform, name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{}-{name}", platform.name));
    std::fs::write(&path, text).unwrap();
    path
}
