//! A sample app, built and packed with its config: what `curl -T` then publishes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

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
    if app.is_empty() || app.contains('/') || !source.join("Cargo.toml").is_file() {
        bail!("there is no sample app {app}: see the directory sample-apps");
    }
    let version = version(&source)?;
    let binaries = build::build(&[app], profile)?;
    fs::create_dir_all(directory)
        .with_context(|| format!("failed to make {}", directory.display()))?;
    let archive = directory.join(format!("{app}-{version}.tar.gz"));
    write_archive(&archive, app, &binaries.path(app))
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
fn version(source: &Path) -> anyhow::Result<String> {
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("no version in {}", source.join("Cargo.toml").display()))
}

/// One executable. No time, owner or path of this machine goes in, so that the same binary packs to
/// the same bytes, and publishing it twice is no conflict.
fn write_archive(archive: &Path, app: &str, binary: &Path) -> anyhow::Result<()> {
    let content = File::open(binary)?;
    let mut header = Header::new_ustar();
    header.set_size(content.metadata()?.len());
    header.set_mode(0o755);
    header.set_mtime(1);
    header.set_uid(0);
    header.set_gid(0);
    let mut builder = Builder::new(GzEncoder::new(
        File::create(archive)?,
        Compression::default(),
    ));
    builder.append_data(&mut header, app, content)?;
    builder.into_inner()?.finish()?;
    Ok(())
}
