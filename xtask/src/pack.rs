//! Packs a sample app with its config, ready for `curl -T` or `platformer publish`.
//!
//! A folder with a `Cargo.toml` is built with cargo, one with a `pack.Dockerfile` with docker.

mod dockerfile;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use platformer::archive::{self, Content, Entries, Entry};

use crate::build::{self, Profile};

/// An app's files, ready to be published.
#[derive(Debug)]
pub struct Packed {
    pub version: String,
    pub archive: PathBuf,
    pub config: PathBuf,
}

/// Builds `app` and packs it into `directory`.
pub fn pack(app: &str, directory: &Path, profile: Profile) -> anyhow::Result<Packed> {
    let source = build::root()?.join("sample-apps").join(app);
    let manifest = source.join("Cargo.toml");
    let dockerfile = source.join("pack.Dockerfile");
    let is_name = !app.is_empty() && !app.contains('/');
    let (version, entries) = if is_name && dockerfile.is_file() {
        let version = dockerfile::version(&dockerfile)?;
        (version, dockerfile::build(app, &dockerfile)?)
    } else if is_name && manifest.is_file() {
        (manifest_version(&manifest)?, executable(app, profile)?)
    } else {
        bail!(
            "there is no sample app {app}. The directory sample-apps has one folder for each app"
        );
    };
    fs::create_dir_all(directory)
        .with_context(|| format!("failed to make {}", directory.display()))?;
    let archive = directory.join(format!("{app}-{version}.tar.gz"));
    archive::write(&archive, &entries)
        .with_context(|| format!("failed to write {}", archive.display()))?;
    let config = directory.join(format!("{app}.config"));
    fs::copy(source.join(format!("{app}.config")), &config)
        .with_context(|| format!("failed to write {}", config.display()))?;
    Ok(Packed {
        version,
        archive,
        config,
    })
}

/// The version in an app's own manifest.
fn manifest_version(manifest: &Path) -> anyhow::Result<String> {
    fs::read_to_string(manifest)?
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("{} has no line version = \"…\"", manifest.display()))
}

/// The one file of an app in Rust.
fn executable(app: &str, profile: Profile) -> anyhow::Result<Entries> {
    let path = build::build(&[app], profile)?.path(app);
    let file = Entry::File {
        content: Content::OnDisk(path),
        executable: true,
    };
    Ok(Entries::from([(app.into(), file)]))
}
