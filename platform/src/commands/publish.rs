//! `platformer publish APP PATH VERSION`: an artefact and, where there is none yet, its config.
//!
//! PATH is a file, or a directory that holds an archive of the version or the app's files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use repository_api::release::LayerName;
use repository_api::{AppName, FileName, VersionName, config, routes};

use crate::archive;
use crate::environment::{self, Environment};
use crate::repository::Repository;
use crate::say::say;

const ENDINGS: [&str; 4] = [".tar.gz", ".tgz", ".tar.zst", ".tar"];

pub(crate) fn run(
    environment: Environment,
    app: &str,
    path: &Path,
    version: &str,
    config: Option<&Path>,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let version: VersionName = version.parse()?;
    ensure!(path.exists(), "there is no {}", path.display());
    let repository = Repository::of(environment)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary directory")?;
    let artefact = artefact(&app, &version, path, temporary.path())?;
    let file = file_name(&app, &version, &artefact)?;
    let answer = repository.put_file(&routes::artefact(&app, &version, &file), &artefact, &[])?;
    if let Some(answer) = answer {
        say(&answer);
    }
    publish_config(&repository, &app, path, config)?;
    if !environment.shell.dry_run {
        say(&format!("next: platformer deploy {app}@{version}"));
    }
    Ok(())
}

/// The file to upload.
fn artefact(
    app: &AppName,
    version: &VersionName,
    path: &Path,
    temporary: &Path,
) -> anyhow::Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let packed = ENDINGS
        .map(|ending| path.join(format!("{app}-{version}{ending}")))
        .into_iter()
        .find(|file| file.is_file());
    if let Some(packed) = packed {
        return Ok(packed);
    }
    if let Some(other) = other_version(app, path)? {
        bail!(
            "{} holds {other}, and not {version}: pack that version, or name the file itself",
            path.display()
        );
    }
    let packed = temporary.join(format!("{app}-{version}.tar.gz"));
    archive::pack_directory(path, &packed, &[&format!("{app}.config")])
        .with_context(|| format!("failed to pack {}", path.display()))?;
    Ok(packed)
}

/// An archive of this app that a directory holds: to pack it into another one is nobody's wish.
fn other_version(app: &AppName, directory: &Path) -> anyhow::Result<Option<String>> {
    let names = fs::read_dir(directory)
        .with_context(|| format!("failed to read {}", directory.display()))?;
    Ok(names
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| {
            name.strip_prefix(&format!("{app}-"))
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
                && ENDINGS.iter().any(|ending| name.ends_with(ending))
        }))
}

/// An archive is called after app and version, so that bootstrap finds it among others.
fn file_name(app: &AppName, version: &VersionName, path: &Path) -> anyhow::Result<FileName> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no name that could be published", path.display()))?;
    let name = match ENDINGS.iter().find(|ending| name.ends_with(*ending)) {
        Some(_) if name.starts_with(&format!("{app}-{version}")) => name.to_owned(),
        Some(ending) => format!("{app}-{version}{ending}"),
        None => name.to_owned(),
    };
    Ok(name.parse()?)
}

/// A config that was named is written. One that lies there is only if the app has none: it may have been
/// changed since, in the console or by `platformer config set`.
fn publish_config(
    repository: &Repository,
    app: &AppName,
    path: &Path,
    named: Option<&Path>,
) -> anyhow::Result<()> {
    let directory = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    let beside = directory.map(|directory| directory.join(format!("{app}.config")));
    let file = match (named, beside) {
        (Some(named), _) => named.to_owned(),
        (None, Some(beside)) if beside.is_file() => beside,
        _ => return Ok(()),
    };
    let text = fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
    if let Err(error) = config::parse(&text) {
        bail!("{}, {error}", file.display());
    }
    let route = routes::config(app, &LayerName::App);
    let known = repository.text(&route, "text/plain")?;
    match known {
        Some(known) if known.as_bytes() == text => return Ok(()),
        Some(_) if named.is_none() => {
            say(&format!(
                "the config of {app} is another one than {file}, and was left as it is: platformer publish … --config {file} writes it",
                file = file.display()
            ));
            return Ok(());
        }
        _ => {}
    }
    if let Some(answer) = repository.put_file(&route, &file, &[])? {
        say(&answer);
    }
    Ok(())
}
