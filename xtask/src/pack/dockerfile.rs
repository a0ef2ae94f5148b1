//! Packs an app that is not Rust: its `pack.Dockerfile` builds an image whose directory /artefact is the artefact.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use platformer::archive::{self, Entries};
use platformer::images;

const ARTEFACT: &str = "/artefact";

/// The default of the build argument VERSION.
pub(super) fn version(dockerfile: &Path) -> anyhow::Result<String> {
    fs::read_to_string(dockerfile)?
        .lines()
        .find_map(|line| line.strip_prefix("ARG VERSION="))
        .map(|version| version.trim().to_owned())
        .with_context(|| {
            format!(
                "{} has no line such as ARG VERSION=1.0.0",
                dockerfile.display()
            )
        })
}

/// Builds the image and copies the artefact out of it.
pub(super) fn build(app: &str, dockerfile: &Path) -> anyhow::Result<Entries> {
    ensure!(
        images::docker_answers(),
        "docker doesn't answer, and {app} is built in a container. Start Docker, then run this again"
    );
    let context = dockerfile
        .parent()
        .context("a Dockerfile has a directory")?;
    // The image stays, as the cache of the next build.
    let tag = format!("platformer/pack:{app}");
    let mut arguments = Vec::new();
    // An app of files alone needs no Debian image, which may take minutes to make.
    if fs::read_to_string(dockerfile)?.contains("ARG BASE_IMAGE=") {
        arguments.push(("BASE_IMAGE", images::base()?));
    }
    images::docker_build(dockerfile, context, &tag, &arguments)?;
    let container = Container::create(&tag)?;
    let output = Command::new("docker")
        .args(["cp", &format!("{}:{ARTEFACT}", container.0), "-"])
        .output()
        .context("failed to start docker")?;
    ensure!(
        output.status.success(),
        "failed to copy {ARTEFACT} out of {tag}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let entries = archive::entries(output.stdout.as_slice())
        .with_context(|| format!("failed to read {ARTEFACT} of {tag}"))?;
    ensure!(
        !entries.is_empty(),
        "{ARTEFACT} of {tag} is empty: {} must put the files of the app there",
        dockerfile.display()
    );
    Ok(entries)
}

/// A container that is never started. It is removed when it goes out of scope.
struct Container(String);

impl Container {
    fn create(image: &str) -> anyhow::Result<Self> {
        // docker requires a command, which an image FROM scratch lacks, but doesn't check that it exists.
        let output = Command::new("docker")
            .args(["create", image, "none"])
            .output()
            .context("failed to start docker")?;
        ensure!(
            output.status.success(),
            "failed to create a container of {image}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(Self(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        images::quiet(Command::new("docker").args(["rm", "--volumes", &self.0]));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_version_is_the_default_of_the_argument() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pack.Dockerfile");
        fs::write(&path, "ARG BASE_IMAGE=debian\nARG VERSION=1.2.3\nFROM x\n").unwrap();
        assert_eq!(version(&path).unwrap(), "1.2.3");
        fs::write(&path, "FROM x\n").unwrap();
        assert!(version(&path).is_err());
    }
}
