//! `cargo xtask dist`: one release archive for each architecture. With Docker, an archive is all that a machine needs.
//!
//! 1. build static binaries for each architecture whose toolchain is installed
//! 2. add completions, man pages, licences, README and checksums
//! 3. pack them reproducibly, and write the checksums of the archives beside them

mod documents;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use platformer::archive::{self, Content, Entries, Entry};
use platformer::images::quiet;
use repository_api::Digest;
use sha2::{Digest as _, Sha256};

use crate::build::{self, Profile};

pub const BINARIES: [&str; 3] = ["platformer", "bootstrap", "repository"];
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
/// Files of the checkout that every archive holds.
const FILES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
const SUMS: &str = "SHA256SUMS";

/// Builds the archives into `directory`, and returns their paths and that of their checksums.
#[expect(clippy::print_stderr, reason = "progress of a command")]
pub fn build(directory: &Path, profile: Profile) -> anyhow::Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for architecture in ARCHITECTURES {
        if let Some(reason) = missing(architecture) {
            eprintln!("leaving out {architecture}: {reason}");
            continue;
        }
        eprintln!("building for {architecture}");
        let target = build::static_target(architecture);
        let binaries = build::build_for(&BINARIES, profile, Some(&target))?;
        let paths = BINARIES.map(|name| (name, binaries.join(name)));
        archives.push(write(directory, architecture, &paths)?);
    }
    ensure!(
        !archives.is_empty(),
        "no architecture can be built. Run: rustup target add {}",
        build::static_target(std::env::consts::ARCH)
    );
    let mut sums = String::new();
    for archive in &archives {
        sums.push_str(&digest(&fs::read(archive)?).line(&file_name(archive)?));
    }
    let path = directory.join(SUMS);
    fs::write(&path, sums).with_context(|| format!("failed to write {}", path.display()))?;
    archives.push(path);
    Ok(archives)
}

/// The reason why binaries for an architecture can't be built here, with the command that removes it.
fn missing(architecture: &str) -> Option<String> {
    let target = build::static_target(architecture);
    if !build::is_installed(&target) {
        return Some(format!(
            "its Rust target isn't installed (rustup target add {target})"
        ));
    }
    if architecture == std::env::consts::ARCH {
        return None;
    }
    // ring and zstd contain C sources.
    let compiler = format!("{architecture}-linux-gnu-gcc");
    let runs = quiet(Command::new(&compiler).arg("--version"));
    let package = architecture.replace('_', "-");
    (!runs).then(|| {
        format!("{compiler} isn't installed (on Debian: apt-get install gcc-{package}-linux-gnu libc6-dev-{}-cross)",
            if architecture == "aarch64" { "arm64" } else { "amd64" })
    })
}

/// Packs `binaries` and what goes with them into `directory`, and returns the path of the archive.
pub fn write(
    directory: &Path,
    architecture: &str,
    binaries: &[(&str, PathBuf)],
) -> anyhow::Result<PathBuf> {
    let name = format!("platformer-{}-{architecture}", env!("CARGO_PKG_VERSION"));
    let mut files = documents::all().context("failed to render the man pages")?;
    let root = build::root()?;
    for file in FILES {
        let path = root.join(file);
        let content =
            fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        files.push((file.to_owned(), content));
    }
    let mut sums: Vec<(String, Digest)> = Vec::new();
    let mut entries = Entries::new();
    let mut add = |file: &str, content: Content, bytes: &[u8], executable| {
        sums.push((file.to_owned(), digest(bytes)));
        let entry = Entry::File {
            content,
            executable,
        };
        entries.insert(Path::new(&name).join(file), entry);
    };
    for (file, path) in binaries {
        let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        add(file, Content::OnDisk(path.clone()), &bytes, true);
    }
    for (file, bytes) in files {
        add(&file, Content::InMemory(bytes.clone()), &bytes, false);
    }
    sums.sort();
    let sums: String = sums
        .iter()
        .map(|(file, digest)| digest.line(file))
        .collect();
    let sums = Entry::File {
        content: Content::InMemory(sums.into_bytes()),
        executable: false,
    };
    entries.insert(Path::new(&name).join(SUMS), sums);
    for folder in ["", "completions", "man"] {
        entries.insert(Path::new(&name).join(folder), Entry::Directory);
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("failed to create {}", directory.display()))?;
    let archive = directory.join(format!("{name}.tar.gz"));
    archive::write(&archive, &entries)
        .with_context(|| format!("failed to write {}", archive.display()))?;
    Ok(archive)
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

fn file_name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .with_context(|| format!("{} has no file name", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::process::Command;

    use super::*;

    #[test]
    fn an_archive_is_complete_reproducible_and_matches_its_checksums() {
        let directory = tempfile::tempdir().unwrap();
        let binaries = BINARIES.map(|name| {
            let path = directory.path().join(name);
            fs::write(&path, name).unwrap();
            (name, path)
        });
        let pack =
            |folder: &str| write(&directory.path().join(folder), "x86_64", &binaries).unwrap();
        let (one, two) = (pack("one"), pack("two"));
        assert_eq!(fs::read(&one).unwrap(), fs::read(two).unwrap());

        let unpack = Command::new("tar")
            .current_dir(&directory)
            .arg("-xzf")
            .arg(&one)
            .status();
        assert!(unpack.unwrap().success());
        let unpacked = directory
            .path()
            .join(one.file_name().unwrap().to_str().unwrap())
            .with_extension("")
            .with_extension("");
        for file in [
            "platformer",
            "completions/platformer.bash",
            "completions/_platformer",
            "completions/platformer.fish",
            "man/platformer.1",
            "man/platformer-config-set.1",
            "LICENSE-MIT",
        ] {
            assert!(unpacked.join(file).is_file(), "{file}");
        }
        let check = Command::new("sha256sum")
            .current_dir(&unpacked)
            .args(["--check", "--strict", "--quiet", SUMS])
            .status();
        assert!(check.unwrap().success());
    }
}
