//! Releases: what a reference means, the document for it, and how a release comes to be.

use repository_api::release::{LayerContent, LayerName, LayerPin, ReleaseDocument, Statement};
use repository_api::{
    AppName, ChannelName, EnvironmentName, Reference, ReleaseNumber, VersionName,
};

use crate::Repository;
use crate::catalogue::{
    AppEntry, AppState, LayerRecord, ReleaseEntry, ReleaseRecord, SealRecord, SignatureRecord,
};
use crate::failure::Failure;
use crate::storage::keys;
use crate::storage::log;
use crate::storage::record::Created;
use crate::timestamp;

/// The statement of a reference, as text and parsed.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    pub(crate) statement: Statement,
}

/// What `reference` means now.
pub(crate) fn resolve(
    repository: &Repository,
    app: &AppName,
    reference: &Reference,
) -> Result<Resolved, Failure> {
    let entry = repository.catalogue.known(app)?;
    let default_pins = repository.catalogue.default_layer().read(AppState::pins);
    entry.read(|state| match reference {
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
    })
}

fn no_latest(app: &AppName, state: &AppState) -> String {
    if state
        .versions
        .values()
        .all(crate::catalogue::VersionState::is_empty)
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
        format!("there are {}", existing.join(", "))
    };
    Failure::not_found(format!(
        "{app} has no channel {channel} ({existing}): point it somewhere with PUT /channels/{app}/{channel}"
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
    })
}

fn of_release(app: &AppName, number: ReleaseNumber, state: &AppState) -> Result<Resolved, Failure> {
    let Some(entry) = state.releases.get(&number.get()) else {
        return Err(Failure::not_found(format!(
            "{app} has no release {number}: GET /releases/{app}/ lists those there are"
        )));
    };
    Ok(Resolved {
        text: entry.text.clone(),
        statement: entry.statement.clone(),
    })
}

/// The document: the statement and the contents of the layers that apply.
pub(crate) async fn document(
    repository: &Repository,
    resolved: Resolved,
    environment: Option<&EnvironmentName>,
) -> Result<ReleaseDocument, Failure> {
    let mut config = Vec::new();
    for pin in resolved
        .statement
        .config
        .iter()
        .filter(|pin| pin.layer.applies_to(environment))
    {
        let record = layer(
            repository,
            &resolved.statement.app,
            &pin.layer,
            pin.generation,
        )
        .await?;
        config.push(LayerContent {
            layer: pin.layer.clone(),
            content: record.content,
        });
    }
    let signature = match resolved.statement.release {
        Some(number) => signature(repository, &resolved.statement.app, number).await?,
        None => None,
    };
    Ok(ReleaseDocument {
        statement: resolved.text,
        signature,
        config,
    })
}

/// A release's signature, if it has one. From the store each time: whoever signs is another.
pub(crate) async fn signature(
    repository: &Repository,
    app: &AppName,
    number: u64,
) -> Result<Option<String>, Failure> {
    let record: Option<SignatureRecord> = repository
        .storage
        .read(&keys::signature(app, number))
        .await?;
    Ok(record.map(|record| record.minisig))
}

pub(crate) async fn layer(
    repository: &Repository,
    app: &AppName,
    layer: &LayerName,
    generation: u64,
) -> Result<LayerRecord, Failure> {
    let key = log::entry(&keys::layer(app, layer), generation);
    Ok(repository.storage.read_named(&key).await?)
}

/// Times that a number taken by somebody else is followed by another try. Each try sees the store
/// anew, so that only as many writers at once could exhaust it.
const TRIES: usize = 100;

/// Makes a release of `version` with the newest config, or finds that `current` is just that.
/// Called with the app's `writing` held.
pub(crate) async fn create(
    repository: &Repository,
    app: &AppName,
    entry: &AppEntry,
    version: &VersionName,
    current: Option<u64>,
) -> Result<u64, Failure> {
    refuse_unreleasable(app, entry, version)?;
    seal(repository, app, entry, version).await?;
    for _ in 0..TRIES {
        let default_pins = repository.catalogue.default_layer().read(AppState::pins);
        let (mut statement, same, number) = entry.read(|state| {
            let resolved = of_version(app, version, state, default_pins)?;
            let number = state
                .releases
                .last_key_value()
                .map_or(1, |(number, _)| number + 1);
            let same = current.filter(|current| {
                state.releases.get(current).is_some_and(|release| {
                    let Statement {
                        version,
                        artefacts,
                        config,
                        ..
                    } = &release.statement;
                    *version == resolved.statement.version
                        && *artefacts == resolved.statement.artefacts
                        && *config == resolved.statement.config
                })
            });
            Ok::<_, Failure>((resolved.statement, same, number))
        })?;
        if let Some(current) = same {
            return Ok(current);
        }
        statement.release = Some(number);
        let record = ReleaseRecord {
            statement: statement.to_text(),
            created: timestamp::now(),
        };
        match repository
            .storage
            .append(&keys::releases(app), number, &record)
            .await?
        {
            Created::Now => {
                let release = ReleaseEntry {
                    text: record.statement,
                    statement,
                    created: record.created,
                };
                entry.write(|state| state.releases.insert(number, release));
                return Ok(number);
            }
            Created::Already => entry.reload(&repository.storage, app.as_str()).await?,
        }
    }
    Err(contended())
}

pub(crate) fn contended() -> Failure {
    Failure::new(
        http::StatusCode::SERVICE_UNAVAILABLE,
        "too many others wrote at the same time: nothing was changed; try again",
    )
}

/// 422 for a version that cannot be released.
fn refuse_unreleasable(
    app: &AppName,
    entry: &AppEntry,
    version: &VersionName,
) -> Result<(), Failure> {
    entry.read(|state| match state.version(version) {
        None => Err(Failure::unprocessable(unknown_version(app, version))),
        Some(found) if found.is_yanked() => Err(Failure::unprocessable(format!(
            "{app} {version} is yanked: undo that with PUT /artefacts/{app}/{version}/yanked and the body false, or release another version"
        ))),
        Some(_) => Ok(()),
    })
}

/// Fixes the files of a version for good. The first seal decides, whoever made it.
async fn seal(
    repository: &Repository,
    app: &AppName,
    entry: &AppEntry,
    version: &VersionName,
) -> Result<(), Failure> {
    let files = entry.read(|state| {
        let found = state.version(version).filter(|found| !found.is_sealed())?;
        Some(found.files().map(|(file, _)| file.clone()).collect())
    });
    let Some(files) = files else { return Ok(()) };
    let record = SealRecord {
        files,
        created: timestamp::now(),
    };
    let key = keys::seal(app, version);
    match repository.storage.create(&key, &record).await? {
        Created::Now => entry.write(|state| {
            state
                .versions
                .entry(version.clone())
                .or_default()
                .set_seal(record);
        }),
        Created::Already => entry.reload(&repository.storage, app.as_str()).await?,
    }
    Ok(())
}
