//! A sample app, built and packed with its config: what `curl -T` then publishes.
//!
//! What is in its folder says how: `Cargo.toml` is built with cargo, `pack.Dockerfile` with docker.

mod archive;
mod dockerfile;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use self::archive::{Content, Entries, Entry};
use crate::build::{self, Profile};

/// An app's files, ready to be published.
#[derive(Debug)]
pub struct Packed {
    pub version: String,
    pub archive: PathBuf,
    pub config: PathBuf,
}

/// `platformer pack APP DIR`
pub fn run(app: &str, directory: &Path) -> anyhow::Result<()> {
    let packed = pack(app, directory, Profile::Release)?;
    #[expect(clippy::print_stdout, reason = "what the command is asked for")]
    {
        println!("{}\n{}", packed.archive.display(), packed.config.display());
    }
    Ok(())
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
        (version(&manifest)?, executable(app, profile)?)
    } else {
        bail!("there is no sample app {app}: see the directory sample-apps");
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

/// The version in the app's own manifest.
fn version(manifest: &Path) -> anyhow::Result<String> {
    fs::read_to_string(manifest)?
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("no version in {}", manifest.display()))
}

/// What an app in Rust consists of.
fn executable(app: &str, profile: Profile) -> anyhow::Result<Entries> {
    let path = build::build(&[app], profile)?.path(app);
    let file = Entry::File {
        content: Content::OnDisk(path),
        executable: true,
    };
    Ok(Entries::from([(app.into(), file)]))
}

/// A directory as an archive; `except` are left out at the top.
pub fn pack_directory(directory: &Path, archive: &Path, except: &[&str]) -> anyhow::Result<()> {
    let mut entries = archive::below(directory)?;
    if entries.is_empty() {
        bail!("{} is empty", directory.display());
    }
    entries.retain(|path, _| except.iter().all(|name| path != Path::new(name)));
    archive::write(archive, &entries)
}
