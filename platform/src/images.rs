//! `platformer images`: the images, from the sources at hand.
//!
//! 1. the static binaries, as the image platformer/builder; at the same time
//! 2. a Debian to build on: from a registry, or made here with mmdebstrap where none answers
//! 3. the images, from the same Dockerfiles either way

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use std::{fs, panic, thread};

use anyhow::{Context as _, bail, ensure};

use crate::build::{self, Profile};
use crate::output::note;
use crate::process;

const BUILDER: &str = "platformer/builder";
/// What the Dockerfile builds on by default.
const PUBLIC_BASE: &str = "debian:bookworm-slim";
/// What is built on where no registry answers.
const OWN_BASE: &str = "platformer/debian:bookworm";
const SUITE: &str = "bookworm";

/// A registry that has not answered by then does not count as one.
const PULL_PATIENCE: Duration = Duration::from_mins(2);

/// An image: its Dockerfile, whose directory is its context, and its tag.
struct Image {
    dockerfile: &'static str,
    tag: &'static str,
}

/// Each rests on those before its row, and none on another of its row: a row is built at the same time.
///
/// No two of a row begin with the same step. Of several results of one step the classic builder knows the newest, and would
/// not find what the next time is to follow from another.
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

/// What stands before the names of images where they come from a registry of one's own: `registry.example.org/`.
pub(crate) fn registry() -> Option<String> {
    std::env::var("REGISTRY")
        .ok()
        .filter(|name| !name.is_empty())
}

/// The tags of all images.
pub fn tags() -> impl Iterator<Item = &'static str> {
    IMAGES.iter().copied().flatten().map(|image| image.tag)
}

/// Builds every image and says what it does.
pub fn run() -> anyhow::Result<()> {
    build(Profile::Release)
}

pub fn build(profile: Profile) -> anyhow::Result<()> {
    ensure!(
        docker_answers(),
        "docker does not answer: start it, or see cargo demo, which does without"
    );
    let root = build::root()?;
    note("building the binaries, and meanwhile the Debian that the images rest on");
    let (binaries, base) = thread::scope(|scope| {
        let base = scope.spawn(base);
        let binaries = build::build(&["bootstrap", "repository"], profile);
        (binaries, result(base))
    });
    let (binaries, base) = (binaries?, base?);
    ensure!(
        binaries.is_static,
        "the binaries are not static, so they would not run in every image: install the musl target, as in rustup target add {}-unknown-linux-musl",
        std::env::consts::ARCH
    );
    let context = tempfile::tempdir()?;
    for name in ["bootstrap", "repository"] {
        fs::copy(binaries.path(name), context.path().join(name))?;
    }
    fs::write(
        context.path().join("Dockerfile"),
        "FROM scratch\nCOPY bootstrap repository /binaries/\n",
    )?;
    docker_build(
        &context.path().join("Dockerfile"),
        context.path(),
        BUILDER,
        &[],
    )?;
    let arguments = [("BUILDER_IMAGE", BUILDER), ("BASE_IMAGE", base)];
    for row in IMAGES {
        thread::scope(|scope| {
            let builds: Vec<_> = row
                .iter()
                .map(|image| scope.spawn(|| image.build(&root, &arguments)))
                .collect();
            builds.into_iter().try_for_each(result)
        })?;
    }
    Ok(())
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
                "docker tag {tag} {name} failed: REGISTRY is a registry and a slash, as in registry.example.org/"
            );
            note(&format!("  also as {name}: docker push {name}"));
        }
        Ok(())
    }
}

/// What a thread came to.
fn result<T>(thread: ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    thread
        .join()
        .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

pub fn docker_answers() -> bool {
    quiet(Command::new("docker").arg("version"))
}

pub(crate) fn quiet(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Builds one image; shows what docker said only where it failed. Arguments that the Dockerfile does
/// not know are left out.
pub(crate) fn docker_build(
    dockerfile: &Path,
    context: &Path,
    tag: &str,
    arguments: &[(&str, &str)],
) -> anyhow::Result<()> {
    let text = fs::read_to_string(dockerfile)
        .with_context(|| format!("failed to read {}", dockerfile.display()))?;
    let mut command = Command::new("docker");
    command
        .args(["build", "--tag", tag, "--file"])
        .arg(dockerfile);
    // A build argument that the Dockerfile does not know is an error of some builders.
    for (name, value) in arguments
        .iter()
        .filter(|(name, _)| text.contains(&format!("ARG {name}=")))
    {
        command.args(["--build-arg", &format!("{name}={value}")]);
    }
    let output = command
        .arg(context)
        .output()
        .context("failed to start docker")?;
    if !output.status.success() {
        bail!(
            "docker build of {tag} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The image to build on, and how it was come by.
pub(crate) fn base() -> anyhow::Result<&'static str> {
    let has = |image: &str| quiet(Command::new("docker").args(["image", "inspect", image]));
    if has(PUBLIC_BASE) {
        note(&format!("building on {PUBLIC_BASE}, which is here already"));
        return Ok(PUBLIC_BASE);
    }
    if process::succeeds_within(
        Command::new("docker").args(["pull", "--quiet", PUBLIC_BASE]),
        PULL_PATIENCE,
    ) {
        note(&format!(
            "building on {PUBLIC_BASE}, pulled from a registry"
        ));
        return Ok(PUBLIC_BASE);
    }
    if has(OWN_BASE) {
        note(&format!(
            "no registry answers: building on {OWN_BASE}, made here earlier (docker rmi {OWN_BASE} to make it anew)"
        ));
        return Ok(OWN_BASE);
    }
    note(&format!(
        "no registry answers: making {OWN_BASE} with mmdebstrap"
    ));
    make_base()?;
    Ok(OWN_BASE)
}

/// A Debian without documentation, as the slim images are.
fn make_base() -> anyhow::Result<()> {
    ensure!(
        quiet(Command::new("mmdebstrap").arg("--version")),
        "there is neither a registry to pull {PUBLIC_BASE} from nor mmdebstrap to make a Debian with: install it, as in apt-get install mmdebstrap"
    );
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("debian.tar");
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--include=ca-certificates"])
        .args(
            ["man", "doc", "locale", "info"]
                .map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")),
        )
        .arg(SUITE)
        .arg(&archive)
        .output()
        .context("failed to start mmdebstrap")?;
    ensure!(
        output.status.success(),
        "mmdebstrap failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let imported = Command::new("docker")
        .arg("import")
        .arg(&archive)
        .arg(OWN_BASE)
        .output()
        .context("failed to start docker")?;
    ensure!(
        imported.status.success(),
        "docker import failed:\n{}",
        String::from_utf8_lossy(&imported.stderr)
    );
    Ok(())
}
