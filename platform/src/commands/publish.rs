//! `platformer publish APP PATH VERSION`: uploads an artefact and, if the app has none yet, its config.
//!
//! PATH is a file, or a directory that holds an archive of the version or the app's files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use repository_api::candidate::ARCHIVE_ENDINGS;
use repository_api::release::LayerName;
use repository_api::{AppName, FileName, VersionName, config, routes};

use crate::archive;
use crate::environment::{self, Environment};
use crate::output::print;
use crate::repository::Repository;
use crate::step::{Step, apply_all};

pub(crate) fn run(
    environment: Environment,
    app: &str,
    path: &Path,
    version: &str,
    config: Option<&Path>,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let version: VersionName = version.parse()?;
    ensure!(path.exists(), "{} does not exist", path.display());
    let repository = Repository::of(environment)?;
    let temporary = tempfile::tempdir().context("failed to create a temporary directory")?;
    let artefact = artefact(&app, &version, path, temporary.path())?;
    let file = file_name(&app, &version, &artefact)?;
    let route = routes::artefact(&app, &version, &file);
    let mut steps = vec![upload(&repository, &route, &artefact)?];
    steps.extend(upload_config(&repository, &app, path, config)?);
    steps.push(Step::report(format!(
        "next: platformer deploy {app}@{version}"
    )));
    apply_all(steps, environment.shell)
}

fn upload(repository: &Repository, route: &str, file: &Path) -> anyhow::Result<Step> {
    Ok(repository.put_file(route, file)?.then(|answer| {
        print(&answer);
        Ok(())
    }))
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
    let packed = ARCHIVE_ENDINGS
        .map(|ending| path.join(format!("{app}-{version}{ending}")))
        .into_iter()
        .find(|file| file.is_file());
    if let Some(packed) = packed {
        return Ok(packed);
    }
    if let Some(other) = other_version(app, path)? {
        bail!(
            "{} contains {other}, but not version {version}: pack that version, or name the file to publish",
            path.display()
        );
    }
    let packed = temporary.join(format!("{app}-{version}.tar.gz"));
    archive::pack_directory(path, &packed, &[&format!("{app}.config")])
        .with_context(|| format!("failed to pack {}", path.display()))?;
    Ok(packed)
}

/// An archive of the app in the directory. Packing the directory would put that archive into another one.
fn other_version(app: &AppName, directory: &Path) -> anyhow::Result<Option<String>> {
    let names = fs::read_dir(directory)
        .with_context(|| format!("failed to read {}", directory.display()))?;
    Ok(names
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| {
            name.strip_prefix(&format!("{app}-"))
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
                && ARCHIVE_ENDINGS.iter().any(|ending| name.ends_with(ending))
        }))
}

/// The published name of a file. An archive gets app and version in its name, by which bootstrap chooses it.
fn file_name(app: &AppName, version: &VersionName, path: &Path) -> anyhow::Result<FileName> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| {
            format!(
                "{} has no file name to publish it under: rename the file",
                path.display()
            )
        })?;
    let name = match ARCHIVE_ENDINGS
        .iter()
        .find(|ending| name.ends_with(*ending))
    {
        Some(_) if name.starts_with(&format!("{app}-{version}")) => name.to_owned(),
        Some(ending) => format!("{app}-{version}{ending}"),
        None => name.to_owned(),
    };
    Ok(name.parse()?)
}

/// Uploads the config that `--config` names. A config beside the artefact is uploaded only if the app has none, because
/// someone may have changed the app's config since.
fn upload_config(
    repository: &Repository,
    app: &AppName,
    path: &Path,
    named: Option<&Path>,
) -> anyhow::Result<Option<Step>> {
    let directory = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    let beside = directory.map(|directory| directory.join(format!("{app}.config")));
    let file = match (named, beside) {
        (Some(named), _) => named.to_owned(),
        (None, Some(beside)) if beside.is_file() => beside,
        _ => return Ok(None),
    };
    let text = fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
    if let Err(error) = config::parse(&text) {
        bail!("{}, {error}", file.display());
    }
    let route = routes::config(app, &LayerName::App);
    let known = repository.text(&route, "text/plain")?;
    Ok(match known {
        Some(known) if known.as_bytes() == text => None,
        Some(_) if named.is_none() => Some(Step::report(format!(
            "{app} has another config than {file}, and keeps it: to replace it, add --config {file}",
            file = file.display()
        ))),
        _ => Some(upload(repository, &route, &file)?),
    })
}
