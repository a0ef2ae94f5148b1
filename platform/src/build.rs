//! Binaries from the sources at hand: cargo decides what is stale, so nothing stale is ever used.
//!
//! They are static (musl), because the same binary must run in every image. Where that target cannot
//! be had, they are built for this machine's own C library: enough for the demo, not for images.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The root of the checkout.
pub fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the checkout has no root")?;
    if !root.join("bootstrap/Cargo.toml").is_file() {
        bail!(
            "the checkout that this command was built from is gone from {}: build it again",
            root.display()
        );
    }
    Ok(root.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Debug,
    /// Optimised: what is shipped.
    Release,
}

/// Where the binaries of a build are.
#[derive(Debug, Clone)]
pub struct Binaries {
    directory: PathBuf,
    /// Whether they run in any image.
    pub is_static: bool,
}

impl Binaries {
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Builds the binaries of `packages`.
pub fn build(packages: &[&str], profile: Profile) -> anyhow::Result<Binaries> {
    let root = root()?;
    let target = static_target();
    // One at a time: what is built together shares the features of what both use, and bootstrap would
    // carry what only the repository needs.
    for package in packages {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What cargo tells of the package that it runs is not to be told to another: ring is built anew for each value.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(name)) {
            command.env_remove(name);
        }
        command
            .current_dir(&root)
            .args(["build", "--quiet", "--bins", "--package", package]);
        if profile == Profile::Release {
            command.arg("--release");
        }
        if let Some(target) = &target {
            command.args(["--target", target]);
        }
        let status = command.status().context("failed to start cargo")?;
        if !status.success() {
            bail!("cargo build failed ({status})");
        }
    }
    let base = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |set| root.join(set));
    let base = target
        .as_ref()
        .map_or(base.clone(), |target| base.join(target));
    let directory = base.join(if profile == Profile::Release {
        "release"
    } else {
        "debug"
    });
    Ok(Binaries {
        directory,
        is_static: target.is_some(),
    })
}

fn is_of_a_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_")
}

/// The musl target of this machine, if it is installed or can be.
fn static_target() -> Option<String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let succeeds = |command: &mut Command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", &target])
        .output()
        .ok()?;
    let directory = String::from_utf8(libraries.stdout).ok()?;
    if Path::new(directory.trim()).is_dir()
        || succeeds(Command::new("rustup").args(["target", "add", &target]))
    {
        return Some(target);
    }
    None
}
