//! Releases: resolving a reference, its release document, and creating a release.

use futures_util::future::try_join_all;
use repository_api::config::{self, Config};
use repository_api::release::{
    Artefact, LayerContent, LayerName, LayerPin, ReleaseDocument, Statement,
};
use repository_api::{
    AppName, ChannelName, EnvironmentName, Reference, ReleaseNumber, VersionName, candidate,
};

use super::catalogue::Catalogue;
use super::error::{Error, Unreleasable};
use super::event::AppEvent;
use super::layer_file::LayerFile;
use super::state::app::{AppState, MoveRecord, ReleaseEntry};
use super::state::version::VersionState;

/// The statement that a reference resolves to, as text and parsed, and its signature.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    pub(crate) statement: Statement,
    pub(crate) minisig: Option<String>,
}

/// Resolves `reference` in the current state of an app.
pub(crate) async fn resolve(
    catalogue: &Catalogue,
    app: &AppName,
    reference: &Reference,
) -> Result<Resolved, Error> {
    let (default, log) = tokio::join!(catalogue.default_layer(), catalogue.known(app));
    let default_pins = default?.read(|state| state.layers.pins());
    log?.read(|state| resolve_in(app, reference, state, default_pins))
}

/// Resolves `reference` in a given state of the app.
pub(crate) fn resolve_in(
    app: &AppName,
    reference: &Reference,
    state: &AppState,
    default_pins: Vec<LayerPin>,
) -> Result<Resolved, Error> {
    match reference {
        Reference::Latest => match state.latest() {
            Some(version) => of_version(app, version, state, default_pins),
            None if state.versions.values().all(VersionState::is_empty) => {
                Err(Error::NoVersion(app.clone()))
            }
            None => Err(Error::NoLatest(app.clone())),
        },
        Reference::Version(version) => of_version(app, version, state, default_pins),
        Reference::Release(number) => of_release(app, *number, state),
        Reference::Channel(channel) => {
            let (_, moved) = state.existing_channel(app, channel)?;
            let number = ReleaseNumber::new(moved.release)
                .ok_or_else(|| state.unknown_channel(app, channel))?;
            of_release(app, number, state)
        }
    }
}

impl AppState {
    /// The version, if it has files.
    pub(crate) fn existing(
        &self,
        app: &AppName,
        version: &VersionName,
    ) -> Result<&VersionState, Error> {
        self.version(version).ok_or_else(|| {
            let (app, version) = (app.clone(), version.clone());
            if self.is_purged(&version) {
                Error::Purged { app, version }
            } else {
                Error::UnknownVersion { app, version }
            }
        })
    }

    pub(crate) fn release(
        &self,
        app: &AppName,
        release: ReleaseNumber,
    ) -> Result<&ReleaseEntry, Error> {
        self.releases
            .get(&release.get())
            .ok_or_else(|| Error::UnknownRelease {
                app: app.clone(),
                release,
            })
    }

    /// The number of the channel's newest move, and the move.
    pub(crate) fn existing_channel(
        &self,
        app: &AppName,
        channel: &ChannelName,
    ) -> Result<(u64, &MoveRecord), Error> {
        self.channel(channel)
            .ok_or_else(|| self.unknown_channel(app, channel))
    }

    pub(crate) fn unknown_channel(&self, app: &AppName, channel: &ChannelName) -> Error {
        Error::UnknownChannel {
            app: app.clone(),
            channel: channel.clone(),
            existing: self.channels.keys().map(ToString::to_string).collect(),
        }
    }
}

fn of_version(
    app: &AppName,
    version: &VersionName,
    state: &AppState,
    mut pins: Vec<LayerPin>,
) -> Result<Resolved, Error> {
    let found = state.existing(app, version)?;
    pins.extend(state.layers.pins());
    let statement = Statement {
        app: app.clone(),
        release: None,
        version: version.clone(),
        artefacts: found.artefacts(),
        config: pins,
    };
    Ok(Resolved {
        text: statement.to_text(),
        statement,
        minisig: None,
    })
}

fn of_release(app: &AppName, number: ReleaseNumber, state: &AppState) -> Result<Resolved, Error> {
    let found = state.release(app, number)?;
    if state.is_purged(&found.statement.version) {
        return Err(Error::Purged {
            app: app.clone(),
            version: found.statement.version.clone(),
        });
    }
    Ok(Resolved {
        text: found.text.clone(),
        statement: found.statement.clone(),
        minisig: found.minisig.clone(),
    })
}

/// The release document: the statement, and the contents of the layers that `applies` selects.
pub(crate) async fn document(
    catalogue: &Catalogue,
    resolved: Resolved,
    applies: impl Fn(&LayerName) -> bool,
) -> Result<ReleaseDocument, Error> {
    let app = &resolved.statement.app;
    let pins = resolved.statement.config.iter();
    let pins = pins.filter(|pin| applies(&pin.layer));
    let config = try_join_all(pins.map(|pin| async {
        let file = LayerFile::of(app, &pin.layer);
        let content = catalogue.content(&file, pin.generation).await?;
        Ok::<_, Error>(LayerContent {
            layer: pin.layer.clone(),
            content,
        })
    }))
    .await?;
    Ok(ReleaseDocument {
        statement: resolved.text,
        signature: resolved.minisig,
        config,
    })
}

/// The assignments of a pinned layer.
pub(crate) async fn parsed_layer(
    catalogue: &Catalogue,
    app: &AppName,
    pin: &LayerPin,
) -> Result<Config, Error> {
    let file = LayerFile::of(app, &pin.layer);
    let content = catalogue.content(&file, pin.generation).await?;
    config::parse(content.as_bytes()).map_err(|error| Error::InvalidLayer {
        layer: pin.layer.clone(),
        generation: pin.generation,
        error,
    })
}

/// The newest layers of an app that apply to `environment`, later ones last.
pub(crate) async fn current_layers(
    catalogue: &Catalogue,
    app: &AppName,
    environment: Option<&EnvironmentName>,
) -> Result<Vec<(LayerPin, Config)>, Error> {
    let log = catalogue.known(app).await?;
    let mut layers = Vec::new();
    for pin in catalogue.pins(&log).await? {
        if pin.layer.applies_to(environment) {
            let parsed = parsed_layer(catalogue, app, &pin).await?;
            layers.push((pin, parsed));
        }
    }
    Ok(layers)
}

/// The gzipped archive among the files of a version, as the original design served it.
pub(crate) fn gzipped_archive(
    mut files: Vec<Artefact>,
    app: &AppName,
    version: &VersionName,
) -> Result<Artefact, candidate::Ambiguous> {
    files.retain(|artefact| {
        [".tgz", ".tar.gz"]
            .iter()
            .any(|end| artefact.file.as_str().ends_with(end))
    });
    candidate::choose(&files, app, version, std::env::consts::ARCH).cloned()
}

/// The event that creates a release of `version` with the newest config, and the number of the release. No event if the
/// release `current` pins the same.
pub(super) fn create(
    app: &AppName,
    state: &AppState,
    version: &VersionName,
    default_pins: Vec<LayerPin>,
    current: Option<u64>,
) -> Result<(Option<AppEvent>, u64), Error> {
    refuse_unreleasable(app, state, version, None)?;
    let Resolved { mut statement, .. } = of_version(app, version, state, default_pins)?;
    let same = current.filter(|current| {
        state.releases.get(current).is_some_and(|release| {
            let Statement {
                version,
                artefacts,
                config,
                ..
            } = &release.statement;
            *version == statement.version
                && *artefacts == statement.artefacts
                && *config == statement.config
        })
    });
    if let Some(current) = same {
        return Ok((None, current));
    }
    let number = state
        .releases
        .last_key_value()
        .map_or(1, |(number, _)| number + 1);
    statement.release = Some(number);
    let statement = statement.to_text();
    Ok((Some(AppEvent::Release { statement }), number))
}

/// Refuses a version that is unknown, purged or yanked.
pub(super) fn refuse_unreleasable(
    app: &AppName,
    state: &AppState,
    version: &VersionName,
    release: Option<ReleaseNumber>,
) -> Result<(), Error> {
    let reason = match state.version(version) {
        None if state.is_purged(version) => Unreleasable::Purged,
        None => Unreleasable::Unknown,
        Some(found) if found.is_yanked() => Unreleasable::Yanked,
        Some(_) => return Ok(()),
    };
    Err(Error::Unreleasable {
        app: app.clone(),
        version: version.clone(),
        reason,
        release,
    })
}
