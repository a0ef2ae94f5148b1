//! Moving a channel: the only mutable act.
//!
//! 1. [`Target`]: a version, which becomes a release with the newest config, or a release
//! 2. the mover has seen where the channel is, if it says so
//! 3. what cannot be released is refused; on a channel for signed releases, also what no trusted key has signed

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, header};
use repository_api::signature::TrustedKeys;
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber, VersionName};

use crate::Repository;
use crate::domain::catalogue::{AppState, Decision, Event};
use crate::domain::completion::to_the_end;
use crate::domain::releases;
use crate::http::conditional::{self, Outcome};
use crate::http::failure::Failure;

/// Counts moves, not releases: a channel that went away and came back has moved.
pub(crate) fn etag(moved: u64) -> String {
    format!("\"m{moved}\"")
}

/// The same pointer in other bytes needs a strong tag of its own.
pub(crate) fn etag_of_json(moved: u64) -> String {
    format!("\"m{moved}.json\"")
}

/// Where the channel is now.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) is_new: bool,
    pub(crate) release: u64,
    /// Of the move: the first one is 1.
    pub(crate) number: u64,
}

/// Points `channel` at `target`, if the conditions in `headers` hold.
pub(crate) async fn promote(
    repository: Arc<Repository>,
    app: AppName,
    channel: ChannelName,
    headers: HeaderMap,
    target: Target,
    by: String,
) -> Result<Moved, Failure> {
    let keys = Keys::read(&repository).await;
    to_the_end(async move {
        let address = (&app, &channel);
        point(&repository, address, &headers, &target, &keys, &by).await
    })
    .await
}

/// Who may sign. Only a channel for signed releases needs to know.
enum Keys {
    None,
    Unreadable,
    Known(TrustedKeys),
}

impl Keys {
    /// As they are in the file now.
    async fn read(repository: &Repository) -> Self {
        let Some(path) = &repository.settings.trusted_keys_file else {
            return Self::None;
        };
        let text = tokio::fs::read_to_string(path).await;
        let keys = text
            .map_err(|error| error.to_string())
            .and_then(|text| TrustedKeys::parse(&text));
        keys.map_or_else(
            |error| {
                tracing::error!(%error, path = %path.display(), "the trusted keys cannot be read");
                Self::Unreadable
            },
            Self::Known,
        )
    }

    fn known(&self, app: &AppName, channel: &ChannelName) -> Result<&TrustedKeys, Failure> {
        match self {
            Self::Known(keys) => Ok(keys),
            Self::None => Err(Failure::unprocessable(format!(
                "channel {channel} of {app} is to take signed releases only, and this server knows no keys: set REPOSITORY_TRUSTED_KEYS_FILE to a file of minisign's public keys"
            ))),
            Self::Unreadable => Err(Failure::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "the file that REPOSITORY_TRUSTED_KEYS_FILE names cannot be read: nothing was moved; the repository's log says why",
            )),
        }
    }
}

async fn point(
    repository: &Repository,
    (app, channel): (&AppName, &ChannelName),
    headers: &HeaderMap,
    target: &Target,
    keys: &Keys,
    by: &str,
) -> Result<Moved, Failure> {
    let entry = repository.catalogue.known(app).await?;
    let default = repository.catalogue.default_layer().await?;
    let default_pins = default.read(AppState::pins);
    default.make_durable(&repository.storage).await?;
    entry
        .commit(&repository.storage, by, |state| {
            let current = state
                .channel(channel)
                .map(|(moved, entry)| (moved, entry.release));
            refuse_stale(app, channel, headers, current.map(|(moved, _)| moved))?;
            let now = current.map(|(_, release)| release);
            let (made, release) = match target {
                Target::Version(version) => {
                    releases::make(app, state, version, default_pins.clone(), now)?
                }
                Target::Release(number) => (None, existing(app, state, *number)?),
            };
            let moved = |is_new, number| Moved {
                is_new,
                release,
                number,
            };
            if let Some((number, _)) = current.filter(|(_, now)| *now == release) {
                return Ok(Decision::Settled(moved(false, number)));
            }
            if state.signed_only.contains(channel) {
                refuse_unsigned(app, channel, state, release, keys)?;
            }
            let number = current.map_or(1, |(number, _)| number + 1);
            let channel = channel.clone();
            let events = made.into_iter().chain([Event::Move { channel, release }]);
            Ok(Decision::Append(events.collect(), moved(true, number)))
        })
        .await
}

/// 422 for a release that no trusted key has signed, or no more.
fn refuse_unsigned(
    app: &AppName,
    channel: &ChannelName,
    state: &AppState,
    release: u64,
    keys: &Keys,
) -> Result<(), Failure> {
    let keys = keys.known(app, channel)?;
    let Some(entry) = state.releases.get(&release) else {
        return Err(Failure::unprocessable(format!(
            "channel {channel} of {app} takes signed releases only, and a version would become a new one: point another channel at the version, sign the release that this makes, and point {channel} at the release"
        )));
    };
    let statement = entry.text.as_bytes();
    keys.verify(statement, entry.minisig.as_deref(), SystemTime::now())
        .map_err(|error| {
            Failure::unprocessable(format!(
                "channel {channel} of {app} takes signed releases only, and r{release} is refused: {error}; GET /releases/{app}/r{release}?statement is what is to be signed"
            ))
        })
}

/// Marks a channel as one for signed releases, or takes the mark away. `true` if it was otherwise.
pub(crate) async fn restrict(
    repository: Arc<Repository>,
    app: AppName,
    channel: ChannelName,
    signed_only: bool,
    by: String,
) -> Result<bool, Failure> {
    let keys = Keys::read(&repository).await;
    to_the_end(async move {
        let entry = repository.catalogue.known(&app).await?;
        entry
            .commit(&repository.storage, &by, |state| {
                if state.signed_only.contains(&channel) == signed_only {
                    return Ok(Decision::Settled(false));
                }
                // What it says must be true of where it points already.
                if let (true, Some((_, now))) = (signed_only, state.channel(&channel)) {
                    refuse_unsigned(&app, &channel, state, now.release, &keys)?;
                } else if signed_only {
                    keys.known(&app, &channel)?;
                }
                let channel = channel.clone();
                let event = Event::Restrict {
                    channel,
                    signed_only,
                };
                Ok(Decision::Append(vec![event], true))
            })
            .await
    })
    .await
}

/// 412 where the request's conditions do not hold.
fn refuse_stale(
    app: &AppName,
    channel: &ChannelName,
    headers: &HeaderMap,
    moved: Option<u64>,
) -> Result<(), Failure> {
    if holds(headers, moved) {
        return Ok(());
    }
    Err(Failure::precondition(match moved.map(etag) {
        Some(tag) => {
            format!("channel {channel} of {app} is at {tag}: look at it again before you move it")
        }
        None => format!("{app} has no channel {channel} yet: move it without If-Match"),
    }))
}

/// Whether the request's conditions hold for the tag of either form.
fn holds(headers: &HeaderMap, moved: Option<u64>) -> bool {
    let proceeds = |tag: Option<&str>| conditional::evaluate(headers, tag) == Outcome::Proceed;
    match moved {
        None => proceeds(None),
        Some(moved) if headers.contains_key(header::IF_MATCH) => {
            proceeds(Some(&etag(moved))) || proceeds(Some(&etag_of_json(moved)))
        }
        Some(moved) => proceeds(Some(&etag(moved))),
    }
}

/// What a channel is pointed at.
#[derive(Debug)]
pub(crate) enum Target {
    Version(VersionName),
    Release(ReleaseNumber),
}

impl Target {
    /// What a body of a line of text names.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let target = text.parse::<Reference>().map_err(|error| {
            Failure::unprocessable(format!("the body names no version and no release: {error}"))
        })?;
        match target {
            Reference::Version(version) => Ok(Self::Version(version)),
            Reference::Release(release) => Ok(Self::Release(release)),
            Reference::Latest | Reference::Channel(_) => Err(Failure::unprocessable(format!(
                "{text} is no version and no release: send one of them, such as 1.0.0 or r41"
            ))),
        }
    }
}

/// 422 for a release that is not there, or whose version was yanked or purged.
fn existing(app: &AppName, state: &AppState, number: ReleaseNumber) -> Result<u64, Failure> {
    let Some(release) = state.releases.get(&number.get()) else {
        return Err(Failure::unprocessable(format!(
            "{app} has no release {number}: GET /releases/{app}/ lists those there are"
        )));
    };
    releases::refuse_unreleasable(app, state, &release.statement.version).map_err(|failure| {
        Failure::unprocessable(format!(
            "{number} cannot be released again: {}",
            failure.detail
        ))
    })?;
    Ok(number.get())
}
