//! Releases: what a reference means, the document for it, and how a release comes to be.

use futures_util::future::try_join_all;
use repository_api::release::{LayerContent, LayerName, LayerPin, ReleaseDocument, Statement};
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber, VersionName};

use crate::Repository;
use crate::domain::catalogue::{AppState, Event};
use crate::domain::configure::first_of;
use crate::domain::publish::purged;
use crate::http::failure::Failure;

/// The statement of a reference, as text and parsed, and its signature.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    pub(crate) statement: Statement,
    pub(crate) minisig: Option<String>,
}

/// What `reference` means now.
pub(crate) async fn resolve(
    repository: &Repository,
    app: &AppName,
    reference: &Reference,
) -> Result<Resolved, Failure> {
    let (default, entry) = tokio::join!(
        repository.catalogue.default_layer(),
        repository.catalogue.known(app)
    );
    let default_pins = default?.read(AppState::pins);
    entry?.read(|state| resolve_in(app, reference, state, default_pins))
}

/// What `reference` means in a state of the app.
pub(crate) fn resolve_in(
    app: &AppName,
    reference: &Reference,
    state: &AppState,
    default_pins: Vec<LayerPin>,
) -> Result<Resolved, Failure> {
    match reference {
        Reference::Latest => match state.latest() {
            Some(version) => of_version(app, version, state, default_pins),
            None => Err(Failure::not_found(no_latest(app, state))),
        },
        Reference::Version(version) => of_version(app, version, state, default_pins),
        Reference::Release(number) => of_release(app, *number, state),
        Reference::Channel(channel) => match state.channel(channel) {
            Some((_, entry)) => match ReleaseNumber::new(entry.release) {
                Some(number) => of_release(app, number, state),
                None => Err(unknown_channel(app, channel, state)),
            },
            None => Err(unknown_channel(app, channel, state)),
        },
    }
}

fn no_latest(app: &AppName, state: &AppState) -> String {
    if state
        .versions
        .values()
        .all(crate::domain::catalogue::VersionState::is_empty)
    {
        return format!("{app} has no version: publish one with PUT /artefacts/{app}/VERSION/FILE");
    }
    format!(
        "{app} has no latest: each of its versions is a pre-release or yanked; ask for one by name, as in {app}@1.0.0-rc.1"
    )
}

pub(crate) fn unknown_channel(app: &AppName, channel: &ChannelName, state: &AppState) -> Failure {
    let existing: Vec<&str> = state.channels.keys().map(ChannelName::as_str).collect();
    let existing = if existing.is_empty() {
        "it has none".to_owned()
    } else {
        format!("there are {}", first_of(&existing))
    };
    Failure::not_found(format!(
        "{app} has no channel {channel} ({existing}): point it somewhere with PUT /channels/{app}/{channel}"
    ))
}

pub(crate) fn unknown_release(app: &AppName, number: ReleaseNumber) -> Failure {
    Failure::not_found(format!(
        "{app} has no release {number}: GET /releases/{app}/ lists those there are"
    ))
}

fn unknown_version(app: &AppName, version: &VersionName) -> String {
    format!("{app} has no version {version}: publish it with PUT /artefacts/{app}/{version}/FILE")
}

fn of_version(
    app: &AppName,
    version: &VersionName,
    state: &AppState,
    mut pins: Vec<LayerPin>,
) -> Result<Resolved, Failure> {
    let Some(found) = state.version(version) else {
        if state.is_purged(version) {
            return Err(purged(app, version));
        }
        return Err(Failure::not_found(unknown_version(app, version)));
    };
    pins.extend(state.pins());
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

fn of_release(app: &AppName, number: ReleaseNumber, state: &AppState) -> Result<Resolved, Failure> {
    let Some(entry) = state.releases.get(&number.get()) else {
        return Err(unknown_release(app, number));
    };
    if state.is_purged(&entry.statement.version) {
        return Err(purged(app, &entry.statement.version));
    }
    Ok(Resolved {
        text: entry.text.clone(),
        statement: entry.statement.clone(),
        minisig: entry.minisig.clone(),
    })
}

/// The document: the statement and the contents of the layers that apply.
pub(crate) async fn document(
    repository: &Repository,
    resolved: Resolved,
    applies: impl Fn(&LayerName) -> bool,
) -> Result<ReleaseDocument, Failure> {
    let pins = resolved.statement.config.iter();
    let pins = pins.filter(|pin| applies(&pin.layer));
    let config = try_join_all(pins.map(|pin| async {
        let content = layer(
            repository,
            &resolved.statement.app,
            &pin.layer,
            pin.generation,
        );
        Ok::<_, Failure>(LayerContent {
            layer: pin.layer.clone(),
            content: content.await?,
        })
    }))
    .await?;
    Ok(ReleaseDocument {
        statement: resolved.text,
        signature: resolved.minisig,
        config,
    })
}

/// The content of a generation that is known to be there.
pub(crate) async fn layer(
    repository: &Repository,
    app: &AppName,
    layer: &LayerName,
    number: u64,
) -> Result<String, Failure> {
    let owner = repository.catalogue.layer_owner(app, layer).await?;
    let generation = owner
        .as_ref()
        .and_then(|owner| owner.read(|state| state.generation(layer, number)));
    let (Some(owner), Some(generation)) = (owner, generation) else {
        return Err(Failure::not_found(format!(
            "layer {layer} of {app} has no generation {number}: ask without ?generation for the newest, whose number its entity tag tells"
        )));
    };
    repository
        .layers
        .content(&owner.owner, layer, generation)
        .await
}

/// The events that make a release of `version` with the newest config; none where `current` is just
/// that. And the release's number.
pub(crate) fn make(
    app: &AppName,
    state: &AppState,
    version: &VersionName,
    default_pins: Vec<LayerPin>,
    current: Option<u64>,
) -> Result<(Option<Event>, u64), Failure> {
    refuse_unreleasable(app, state, version)?;
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
    Ok((Some(Event::Release { statement }), number))
}

/// 422 for a version that cannot be released.
pub(crate) fn refuse_unreleasable(
    app: &AppName,
    state: &AppState,
    version: &VersionName,
) -> Result<(), Failure> {
    match state.version(version) {
        None if state.is_purged(version) => Err(Failure::unprocessable(format!(
            "{app} {version} was purged: its bytes are gone; release another version"
        ))),
        None => Err(Failure::unprocessable(unknown_version(app, version))),
        Some(found) if found.is_yanked() => Err(Failure::unprocessable(format!(
            "{app} {version} is yanked: undo that with PUT /artefacts/{app}/{version}/yanked and the body false, or release another version"
        ))),
        Some(_) => Ok(()),
    }
}
