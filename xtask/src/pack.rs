//! Packs a sample app with its config, ready for `curl -T` or `platformer publish`.
//!
//! A folder with a `Cargo.toml` is built with cargo, one with a `pack.Dockerfile` with docker.

mod dockerfile;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
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
    let source = source(app)?;
    let dockerfile = source.join("pack.Dockerfile");
    if !dockerfile.is_file() {
        let executable = build::build(&[app], profile)?.path(app);
        return pack_executable(app, directory, executable);
    }
    let version = dockerfile::version(&dockerfile)?;
    let entries = dockerfile::build(app, &dockerfile)?;
    write(app, &source, version, directory, &entries)
}

/// Packs an app in Rust whose executable is built.
pub fn pack_executable(app: &str, directory: &Path, executable: PathBuf) -> anyhow::Result<Packed> {
    let source = source(app)?;
    let version = manifest_version(&source.join("Cargo.toml"))?;
    let file = Entry::File {
        content: Content::OnDisk(executable),
        executable: true,
    };
    let entries = Entries::from([(app.into(), file)]);
    write(app, &source, version, directory, &entries)
}

/// The folder of a sample app.
fn source(app: &str) -> anyhow::Result<PathBuf> {
    let source = build::root()?.join("sample-apps").join(app);
    let is_app = ["pack.Dockerfile", "Cargo.toml"]
        .iter()
        .any(|file| source.join(file).is_file());
    ensure!(
        is_app && !app.contains('/'),
        "there is no sample app {app:?}. The directory sample-apps has one folder for each app"
    );
    Ok(source)
}

/// Writes the archive and the config beside it.
fn write(
    app: &str,
    source: &Path,
    version: String,
    directory: &Path,
    entries: &Entries,
) -> anyhow::Result<Packed> {
    fs::create_dir_all(directory)
        .with_context(|| format!("failed to create {}", directory.display()))?;
    let archive = directory.join(format!("{app}-{version}.tar.gz"));
    archive::write(&archive, entries)
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
