//! Promotion: points a channel at a release.
//!
//! 1. [`Target`]: a version, which becomes a release with the newest config, or a release
//! 2. the precondition: the caller has seen where the channel points
//! 3. a version or release that cannot be released is refused; on a signed-only channel, also a release that no
//!    trusted key has signed

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use repository_api::signature::TrustedKeys;
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber, VersionName};

use super::catalogue::{Catalogue, Decision};
use super::completion::run_to_completion;
use super::error::Error;
use super::event::AppEvent;
use super::precondition::Precondition;
use super::releases;
use super::state::app::AppState;

#[derive(Debug)]
pub(crate) struct Moved {
    /// `false` if the channel already points at the release.
    pub(crate) is_new: bool,
    pub(crate) release: u64,
    /// The number of the channel's newest move, from 1 on.
    pub(crate) number: u64,
}

/// The new target of a channel.
#[derive(Debug)]
pub(crate) enum Target {
    Version(VersionName),
    Release(ReleaseNumber),
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse::<Reference>().map_err(Error::InvalidTarget)? {
            Reference::Version(version) => Ok(Self::Version(version)),
            Reference::Release(release) => Ok(Self::Release(release)),
            Reference::Latest | Reference::Channel(_) => Err(Error::NotATarget(text.to_owned())),
        }
    }
}

/// The file of public keys that signed-only channels trust, if one is set.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile(Option<Arc<Path>>);

enum Keys {
    None,
    Unreadable,
    Known(TrustedKeys),
}

impl KeyFile {
    pub(crate) fn new(path: Option<&Path>) -> Self {
        Self(path.map(Arc::from))
    }

    /// The keys that the file holds now.
    async fn read(&self) -> Keys {
        let Some(path) = &self.0 else {
            return Keys::None;
        };
        let text = tokio::fs::read_to_string(path).await;
        let keys = text
            .map_err(|error| error.to_string())
            .and_then(|text| TrustedKeys::parse(&text));
        keys.map_or_else(
            |error| {
                tracing::error!(%error, path = %path.display(), "failed to read the trusted keys");
                Keys::Unreadable
            },
            Keys::Known,
        )
    }
}

impl Keys {
    fn known(&self, app: &AppName, channel: &ChannelName) -> Result<&TrustedKeys, Error> {
        match self {
            Self::Known(keys) => Ok(keys),
            Self::None => Err(Error::NoTrustedKeys {
                app: app.clone(),
                channel: channel.clone(),
            }),
            Self::Unreadable => Err(Error::UnreadableKeys),
        }
    }
}

/// Points `channel` at `target`, if `precondition` allows it.
pub(crate) async fn promote(
    catalogue: &Arc<Catalogue>,
    key_file: &KeyFile,
    (app, channel): (AppName, ChannelName),
    precondition: Precondition,
    target: Target,
    by: String,
) -> Result<Moved, Error> {
    let keys = key_file.read().await;
    let catalogue = Arc::clone(catalogue);
    run_to_completion(async move {
        let address = (&app, &channel);
        move_channel(&catalogue, address, &precondition, &target, &keys, &by).await
    })
    .await
}

async fn move_channel(
    catalogue: &Catalogue,
    (app, channel): (&AppName, &ChannelName),
    precondition: &Precondition,
    target: &Target,
    keys: &Keys,
    by: &str,
) -> Result<Moved, Error> {
    let log = catalogue.known(app).await?;
    let default = catalogue.default_layer().await?;
    let default_pins = default.read(|state| state.layers.pins());
    default.make_durable().await?;
    log.commit(by, |state| {
        let current = state
            .channel(channel)
            .map(|(number, moved)| (number, moved.release));
        let current_move = current.map(|(number, _)| number);
        if !precondition.allows(current_move) {
            return Err(Error::StaleChannel {
                app: app.clone(),
                channel: channel.clone(),
                current: current_move,
            });
        }
        let current_release = current.map(|(_, release)| release);
        let (made, release) = match target {
            Target::Version(version) => {
                releases::create(app, state, version, default_pins.clone(), current_release)?
            }
            Target::Release(number) => (None, existing(app, state, *number)?),
        };
        let moved = |is_new, number| Moved {
            is_new,
            release,
            number,
        };
        if let Some((number, _)) = current.filter(|(_, current)| *current == release) {
            return Ok(Decision::Unchanged(moved(false, number)));
        }
        if state.signed_only.contains(channel) {
            refuse_untrusted(app, channel, state, release, keys)?;
        }
        let channel = channel.clone();
        let events = made
            .into_iter()
            .chain([AppEvent::Move { channel, release }]);
        let number = current_move.unwrap_or(0) + 1;
        Ok(Decision::Append(events.collect(), moved(true, number)))
    })
    .await
}

/// Refuses a release that no trusted key has signed.
fn refuse_untrusted(
    app: &AppName,
    channel: &ChannelName,
    state: &AppState,
    release: u64,
    keys: &Keys,
) -> Result<(), Error> {
    let keys = keys.known(app, channel)?;
    let Some(entry) = state.releases.get(&release) else {
        return Err(Error::UnsignedVersion {
            app: app.clone(),
            channel: channel.clone(),
        });
    };
    let statement = entry.text.as_bytes();
    keys.verify(statement, entry.minisig.as_deref(), SystemTime::now())
        .map_err(|error| Error::UntrustedRelease {
            app: app.clone(),
            channel: channel.clone(),
            release,
            reason: error.to_string(),
        })
}

/// Marks a channel as signed-only, or removes the mark.
pub(crate) async fn restrict(
    catalogue: &Arc<Catalogue>,
    key_file: &KeyFile,
    (app, channel): (AppName, ChannelName),
    signed_only: bool,
    by: String,
) -> Result<(), Error> {
    let keys = key_file.read().await;
    let catalogue = Arc::clone(catalogue);
    run_to_completion(async move {
        let log = catalogue.known(&app).await?;
        log.commit(&by, |state| {
            if state.signed_only.contains(&channel) == signed_only {
                return Ok(Decision::Unchanged(()));
            }
            // The current release must be signed, too.
            if let (true, Some((_, moved))) = (signed_only, state.channel(&channel)) {
                refuse_untrusted(&app, &channel, state, moved.release, &keys)?;
            } else if signed_only {
                keys.known(&app, &channel)?;
            }
            let channel = channel.clone();
            let event = AppEvent::Restrict {
                channel,
                signed_only,
            };
            Ok(Decision::Append(vec![event], ()))
        })
        .await
    })
    .await
}

/// The number of an existing release whose version can be released.
fn existing(app: &AppName, state: &AppState, number: ReleaseNumber) -> Result<u64, Error> {
    let Some(release) = state.releases.get(&number.get()) else {
        return Err(Error::UnknownTarget {
            app: app.clone(),
            release: number,
        });
    };
    releases::refuse_unreleasable(app, state, &release.statement.version, Some(number))?;
    Ok(number.get())
}
