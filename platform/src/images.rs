//! `platformer images`: builds the images from the static binaries beside this command.
//!
//! 1. find `bootstrap` and `repository`, and check that they are static
//! 2. choose the Debian base image: from a registry, or made with mmdebstrap
//! 3. put the binaries into the image `platformer/builder`
//! 4. build the images from the embedded Dockerfiles

mod base;
mod docker;
mod elf;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::ScopedJoinHandle;
use std::{fs, panic, thread};

use anyhow::{Context as _, ensure};

pub use self::base::base;
pub use self::docker::{docker_answers, docker_build, quiet};
use crate::embedded;
use crate::output::note;

const BUILDER: &str = "platformer/builder";
const BINARIES: [&str; 2] = ["bootstrap", "repository"];

/// An image: its Dockerfile, whose directory is its context, and its tag.
struct Image {
    dockerfile: &'static str,
    tag: &'static str,
}

/// Images in the order in which they are built. A row depends only on the rows before it and is built in parallel.
///
/// No two images of a row begin with the same step: docker's classic builder finds only the newest result of a step, so
/// the next build would miss its cache.
const IMAGES: [&[Image]; 3] = [
    &[image("app-base/Dockerfile", "platformer/app-base")],
    &[
        image("app-base/static.Dockerfile", "platformer/app-base:static"),
        image("app-base/jre.Dockerfile", "platformer/app-base:jre"),
        image("app-base/python.Dockerfile", "platformer/app-base:python"),
        image("app-base/nginx.Dockerfile", "platformer/app-base:nginx"),
        image("repository/Dockerfile", "platformer/repository"),
    ],
    &[
        image(
            "platform/loadbalancer/Dockerfile",
            "platformer/loadbalancer",
        ),
        image("platform/toolbox/Dockerfile", "platformer/toolbox"),
        image("platform/redis/Dockerfile", "platformer/redis"),
    ],
];

const fn image(dockerfile: &'static str, tag: &'static str) -> Image {
    Image { dockerfile, tag }
}

/// The prefix of image names for a private registry, such as `registry.example.org/`.
pub(crate) fn registry() -> Option<String> {
    std::env::var("REGISTRY")
        .ok()
        .filter(|name| !name.is_empty())
}

/// The tags of all images.
pub fn tags() -> impl Iterator<Item = &'static str> {
    IMAGES.iter().copied().flatten().map(|image| image.tag)
}

/// `platformer images`
pub(crate) fn run() -> anyhow::Result<()> {
    let directory = std::env::current_exe()
        .and_then(fs::canonicalize)
        .context("failed to find the path of this command")?
        .parent()
        .context("this command has no directory")?
        .to_owned();
    check_binaries(&directory)?;
    build(|| Ok(directory))
}

/// Fails unless `directory` holds the binaries that go into the images.
fn check_binaries(directory: &Path) -> anyhow::Result<()> {
    for name in BINARIES {
        let path = directory.join(name);
        ensure!(
            path.is_file(),
            "there is no {name} in {}: `platformer images` builds the images from the binaries beside it. \
             Run the platformer of an unpacked release archive, or `cargo images` in a checkout",
            directory.display()
        );
        let content =
            fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        ensure!(
            elf::is_static(&content),
            "{} is not a static Linux executable, so it would not run in every image. \
             Run the platformer of an unpacked release archive, or `cargo images` in a checkout",
            path.display()
        );
    }
    Ok(())
}

/// Builds every image from the binaries in the directory that `binaries` returns.
///
/// `binaries` runs while the base image is made, because both take minutes.
pub fn build(binaries: impl FnOnce() -> anyhow::Result<PathBuf> + Send) -> anyhow::Result<()> {
    ensure!(
        docker_answers(),
        "docker doesn't answer. Start Docker, then run this again; `platformer doctor` lists what else is missing"
    );
    let (binaries, base) = thread::scope(|scope| {
        let base = scope.spawn(base);
        (binaries(), join(base))
    });
    let (binaries, base) = (binaries?, base?);
    check_binaries(&binaries)?;
    let directory = tempfile::tempdir().context("failed to create a temporary directory")?;
    build_builder(&binaries, &directory.path().join("builder"))?;
    embedded::write(directory.path())?;
    let arguments = [("BUILDER_IMAGE", BUILDER), ("BASE_IMAGE", base)];
    for row in IMAGES {
        thread::scope(|scope| {
            let builds: Vec<_> = row
                .iter()
                .map(|image| scope.spawn(|| image.build(directory.path(), &arguments)))
                .collect();
            builds.into_iter().try_for_each(join)
        })?;
    }
    Ok(())
}

/// Builds the image that the other images copy the binaries from.
fn build_builder(binaries: &Path, context: &Path) -> anyhow::Result<()> {
    fs::create_dir(context)?;
    for name in BINARIES {
        fs::copy(binaries.join(name), context.join(name))
            .with_context(|| format!("failed to copy {name} from {}", binaries.display()))?;
    }
    let dockerfile = context.join("Dockerfile");
    fs::write(
        &dockerfile,
        "FROM scratch\nCOPY bootstrap repository /binaries/\n",
    )?;
    docker_build(&dockerfile, context, BUILDER, &[])
}

impl Image {
    fn build(&self, root: &Path, arguments: &[(&str, &str)]) -> anyhow::Result<()> {
        let Self { dockerfile, tag } = self;
        note(&format!("building {tag}"));
        let dockerfile = root.join(dockerfile);
        let context = dockerfile
            .parent()
            .context("a Dockerfile has a directory")?;
        docker_build(&dockerfile, context, tag, arguments)?;
        if let Some(name) = registry().map(|registry| format!("{registry}{tag}")) {
            ensure!(
                quiet(Command::new("docker").args(["tag", tag, &name])),
                "docker tag {tag} {name} failed. REGISTRY must be a registry and a slash, such as registry.example.org/"
            );
            note(&format!(
                "  tagged {name}; upload it with docker push {name}"
            ));
        }
        Ok(())
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    thread
        .join()
        .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn missing_and_dynamic_binaries_are_refused_with_the_next_step() {
        let directory = tempfile::tempdir().unwrap();
        let error = || check_binaries(directory.path()).unwrap_err().to_string();
        assert!(
            error().starts_with("there is no bootstrap in"),
            "{}",
            error()
        );
        assert!(error().contains("release archive"), "{}", error());
        fs::write(directory.path().join("bootstrap"), "#!/bin/sh\n").unwrap();
        assert!(error().contains("bootstrap is not a static"), "{}", error());
    }
}
