//! The original layout, as nginx served it: `files/APP/APP.tgz`, `config/APP/APP.config`,
//! `config/APP/ENVIRONMENT.config`, `config/_default/_default.config`.
//!
//! It knew no versions: an artefact gets one from the time at which it was last written, in UTC, such as
//! `20260131.174500`. So importing the same again changes nothing.

use std::io::Read as _;
use std::path::Path;

use http::HeaderMap;
use repository_api::release::LayerName;
use repository_api::{AppName, Digest, config};

use super::{ImportError, children, regular, upload};
use crate::Repository;
use crate::cli::output::say;
use crate::domain::configure::{self, LayerFile};
use crate::domain::publish::{Address, commit};
use crate::storage::keys::DEFAULT_OWNER;

/// Who does it.
const IMPORT: &str = "import";

/// Bytes of a config, or of a checksum, at the most.
const MAX_TEXT: u64 = 1 << 20;

pub(super) async fn import(repository: &Repository, source: &Path) -> Result<(), ImportError> {
    let files = source.join("files");
    if !files.is_dir() {
        return Err(ImportError::Nothing {
            path: source.to_owned(),
        });
    }
    let default = source.join("config/_default/_default.config");
    if default.is_file() {
        let nobody = "default"
            .parse()
            .map_err(|error| refused(&default, &error))?;
        layer(repository, &nobody, LayerName::Default, &default).await?;
        say(&format!("{DEFAULT_OWNER}: its config"));
    }
    for (name, directory) in children(&files)? {
        let app: AppName = name.parse().map_err(|error| refused(&directory, &error))?;
        let archive = directory.join(format!("{app}.tgz"));
        let version = publish(repository, &app, &archive).await?;
        let layers = layers(repository, source, &app).await?;
        say(&format!(
            "{app}: version {version}, {layers} layers of config"
        ));
    }
    Ok(())
}

fn refused(path: &Path, reason: &impl ToString) -> ImportError {
    ImportError::Refused {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

async fn publish(
    repository: &Repository,
    app: &AppName,
    archive: &Path,
) -> Result<String, ImportError> {
    let failed = |source| ImportError::Read {
        path: archive.to_owned(),
        source,
    };
    let written = regular(archive)?
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map_err(failed)?;
    let digits: String = humantime::format_rfc3339_seconds(written)
        .to_string()
        .chars()
        .filter_map(|character| match character {
            'T' => Some('.'),
            digit => digit.is_ascii_digit().then_some(digit),
        })
        .collect();
    let address = Address {
        app: app.clone(),
        version: digits.parse().map_err(|error| refused(archive, &error))?,
        file: format!("{app}.tgz")
            .parse()
            .map_err(|error| refused(archive, &error))?,
    };
    let sidecar = archive.with_extension("tgz.sha256");
    let expected = if sidecar.exists() {
        let line = text(&sidecar)?;
        Some(Digest::from_line(&line).map_err(|error| refused(&sidecar, &error))?)
    } else {
        None
    };
    let received = upload(repository, archive).await?;
    if let Some(expected) = expected.filter(|expected| *expected != received.sha256) {
        let found = received.sha256;
        received.upload.abort().await;
        return Err(ImportError::Damaged {
            path: archive.to_owned(),
            expected,
            found,
        });
    }
    commit(repository, &address, received, IMPORT).await?;
    Ok(address.version.to_string())
}

/// Returns how many.
async fn layers(
    repository: &Repository,
    source: &Path,
    app: &AppName,
) -> Result<usize, ImportError> {
    let directory = source.join("config").join(app.as_str());
    if !directory.is_dir() {
        return Ok(0);
    }
    let mut count = 0;
    for (name, path) in children(&directory)? {
        let Some(name) = name.strip_suffix(".config") else {
            continue;
        };
        let name = if name == app.as_str() {
            LayerName::App
        } else {
            let environment = name.parse().map_err(|error| refused(&path, &error))?;
            LayerName::Environment(environment)
        };
        layer(repository, app, name, &path).await?;
        count += 1;
    }
    Ok(count)
}

async fn layer(
    repository: &Repository,
    app: &AppName,
    layer: LayerName,
    path: &Path,
) -> Result<(), ImportError> {
    let content = text(path)?;
    config::parse(content.as_bytes()).map_err(|error| refused(path, &error))?;
    let address = LayerFile {
        app: app.clone(),
        layer,
    };
    configure::write(repository, &address, &HeaderMap::new(), content, IMPORT).await?;
    Ok(())
}

/// A small file.
fn text(path: &Path) -> Result<String, ImportError> {
    let mut bytes = Vec::new();
    regular(path)?
        .take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ImportError::Read {
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(refused(path, &"it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| refused(path, &error))
}
