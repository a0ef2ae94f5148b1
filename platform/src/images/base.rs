//! The Debian image that all other images build on.

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::docker::{quiet, quiet_within};
use crate::output::note;

/// The default base of the Dockerfiles.
const PUBLIC_BASE: &str = "debian:bookworm-slim";
/// The base that is made here if no registry answers.
const OWN_BASE: &str = "platformer/debian:bookworm";
const SUITE: &str = "bookworm";
const PULL_TIMEOUT: Duration = Duration::from_mins(2);

/// Returns the image to build on, and pulls or makes it if this machine has none.
pub fn base() -> anyhow::Result<&'static str> {
    let has = |image: &str| quiet(Command::new("docker").args(["image", "inspect", image]));
    if has(PUBLIC_BASE) {
        note(&format!("building on {PUBLIC_BASE}, which is present"));
        return Ok(PUBLIC_BASE);
    }
    let mut pull = Command::new("docker");
    pull.args(["pull", "--quiet", PUBLIC_BASE]);
    if quiet_within(&mut pull, PULL_TIMEOUT) {
        note(&format!(
            "building on {PUBLIC_BASE}, pulled from a registry"
        ));
        return Ok(PUBLIC_BASE);
    }
    if has(OWN_BASE) {
        note(&format!(
            "no registry answers; building on {OWN_BASE} from an earlier run (docker rmi {OWN_BASE} makes the next run replace it)"
        ));
        return Ok(OWN_BASE);
    }
    note(&format!(
        "no registry answers; making {OWN_BASE} with mmdebstrap"
    ));
    make_base()?;
    Ok(OWN_BASE)
}

/// Makes a Debian image without documentation, as the public slim images are.
fn make_base() -> anyhow::Result<()> {
    ensure!(
        quiet(Command::new("mmdebstrap").arg("--version")),
        "can't pull {PUBLIC_BASE}, because no registry answers, and can't make a Debian image, because mmdebstrap isn't installed. \
         Connect to a registry, or run: apt-get install mmdebstrap"
    );
    let directory = tempfile::tempdir().context("failed to create a temporary directory")?;
    let archive = directory.path().join("debian.tar");
    let made = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--include=ca-certificates"])
        .args(
            ["man", "doc", "locale", "info"]
                .map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")),
        )
        .arg(SUITE)
        .arg(&archive)
        .output();
    check("mmdebstrap", made)?;
    let imported = Command::new("docker")
        .arg("import")
        .arg(&archive)
        .arg(OWN_BASE)
        .output();
    check("docker import", imported)
}

fn check(name: &str, output: std::io::Result<Output>) -> anyhow::Result<()> {
    let output = output.with_context(|| format!("failed to start {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
