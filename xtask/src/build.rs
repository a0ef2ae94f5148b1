//! Binaries from the sources. cargo decides what is stale, so no stale binary is ever used.
//!
//! Binaries are static (musl), because the same binary must run in every image. Without the musl target they are built
//! for this machine's own C library, which is enough for the demo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use platformer::images::quiet;

/// The root of the checkout.
pub fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the checkout has no root")?;
    ensure!(
        root.join("bootstrap/Cargo.toml").is_file(),
        "the checkout that xtask was built from is no longer at {}. Build xtask again",
        root.display()
    );
    Ok(root.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Debug,
    /// Optimised, as shipped.
    Release,
}

/// The result of a build.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub directory: PathBuf,
    /// Whether the binaries run in any image.
    pub is_static: bool,
}

impl Binaries {
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Builds the binaries of `packages` for this machine.
pub fn build(packages: &[&str], profile: Profile) -> anyhow::Result<Binaries> {
    let target = static_target(std::env::consts::ARCH);
    let is_static = is_installed(&target) || add(&target);
    let directory = build_for(packages, profile, is_static.then_some(target.as_str()))?;
    Ok(Binaries {
        directory,
        is_static,
    })
}

/// Builds the binaries of `packages` for a target, and returns their directory.
pub fn build_for(
    packages: &[&str],
    profile: Profile,
    target: Option<&str>,
) -> anyhow::Result<PathBuf> {
    let root = root()?;
    match profile {
        // One call compiles each dependency once: 292 compilations for the binaries under test instead of 424. The
        // packages share the features of their dependencies, so no package may depend on a feature being off.
        Profile::Debug => cargo(&root, packages, profile, target)?,
        // Built one by one, so that a shipped binary has no features that only another one needs.
        Profile::Release => {
            for package in packages {
                cargo(&root, &[package], profile, target)?;
            }
        }
    }
    let base = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |set| root.join(set));
    let base = target.map_or(base.clone(), |target| base.join(target));
    Ok(base.join(match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    }))
}

fn cargo(
    root: &Path,
    packages: &[&str],
    profile: Profile,
    target: Option<&str>,
) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo sets these for the running package; ring is compiled again for each value.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(root)
        .args(["build", "--quiet", "--bins"]);
    for package in packages {
        command.args(["--package", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    let status = command.status().context("failed to start cargo")?;
    if !status.success() {
        bail!("cargo build of {} failed ({status})", packages.join(", "));
    }
    Ok(())
}

/// The target whose binaries are static.
pub fn static_target(architecture: &str) -> String {
    format!("{architecture}-unknown-linux-musl")
}

/// Whether the toolchain has the standard library of a target.
pub(crate) fn is_installed(target: &str) -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .ok()
        .and_then(|printed| String::from_utf8(printed.stdout).ok())
        .is_some_and(|directory| Path::new(directory.trim()).is_dir())
}

/// Installs a target, if rustup is installed and can download it.
fn add(target: &str) -> bool {
    quiet(Command::new("rustup").args(["target", "add", target]))
}
