//! The original layout, as nginx served it: `files/APP/APP.tgz`, `config/APP/APP.config`,
//! `config/APP/ENVIRONMENT.config`, `config/_default/_default.config`.
//!
//! The layout has no versions. The modification time of an artefact in UTC becomes its version, such as
//! `20260131.174500`, so a second import changes nothing.

use std::io::Read as _;
use std::path::Path;

use repository_api::{AppName, Digest, config};

use super::{ImportError, children, failed_to_read, refused, regular, upload};
use crate::domain::configure;
use crate::domain::layer_file::LayerFile;
use crate::domain::precondition::Precondition;
use crate::domain::publish::{Address, Publisher};
use crate::transfer::report::Report;

/// The author of imported entries.
const IMPORT: &str = "import";

/// Maximum bytes of a config or a checksum.
const MAX_TEXT: u64 = 1 << 20;

pub(super) async fn import(
    publisher: &Publisher,
    source: &Path,
    report: &mut dyn Report,
) -> Result<(), ImportError> {
    let files = source.join("files");
    if !files.is_dir() {
        return Err(ImportError::UnknownLayout {
            path: source.to_owned(),
        });
    }
    let default = source.join("config/_default/_default.config");
    if default.is_file() {
        let file = LayerFile::Default;
        layer(publisher, &file, &default).await?;
        report.done(&format!("{}: its config", file.owner()));
    }
    for (name, directory) in children(&files)? {
        let app: AppName = name.parse().map_err(|error| refused(&directory, &error))?;
        let archive = directory.join(format!("{app}.tgz"));
        let version = publish(publisher, &app, &archive).await?;
        let layers = layers(publisher, source, &app).await?;
        report.done(&format!(
            "{app}: version {version}, {layers} layers of config"
        ));
    }
    Ok(())
}

async fn publish(
    publisher: &Publisher,
    app: &AppName,
    archive: &Path,
) -> Result<String, ImportError> {
    let written = regular(archive)?
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map_err(failed_to_read(archive))?;
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
    let received = upload(publisher.catalogue().storage(), archive).await?;
    if let Some(expected) = expected.filter(|expected| *expected != received.sha256) {
        let found = received.sha256;
        received.upload.abort().await;
        return Err(ImportError::Damaged {
            path: archive.to_owned(),
            expected,
            found,
        });
    }
    let version = address.version.to_string();
    publisher
        .publish(address, received, IMPORT.to_owned())
        .await?;
    Ok(version)
}

/// Imports the layers of an app; returns their number.
async fn layers(publisher: &Publisher, source: &Path, app: &AppName) -> Result<usize, ImportError> {
    let directory = source.join("config").join(app.as_str());
    if !directory.is_dir() {
        return Ok(0);
    }
    let mut count = 0;
    for (name, path) in children(&directory)? {
        if !name.ends_with(".config") {
            continue;
        }
        let file = LayerFile::parse(app.as_str(), &name).map_err(|error| refused(&path, &error))?;
        layer(publisher, &file, &path).await?;
        count += 1;
    }
    Ok(count)
}

async fn layer(publisher: &Publisher, file: &LayerFile, path: &Path) -> Result<(), ImportError> {
    let content = text(path)?;
    config::parse(content.as_bytes()).map_err(|error| refused(path, &error))?;
    let any = Precondition::none();
    configure::write(publisher.catalogue(), file, &any, content, IMPORT).await?;
    Ok(())
}

/// Reads a config or a checksum.
fn text(path: &Path) -> Result<String, ImportError> {
    let mut bytes = Vec::new();
    regular(path)?
        .take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed_to_read(path))?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(refused(path, &"it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| refused(path, &error))
}
