//! News: events as followers receive them.

use std::sync::Arc;

use repository_api::release::{LayerName, Statement};
use repository_api::{ChannelName, Digest, FileName, VersionName};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::domain::event::{AppEvent, DefaultLayerEvent};
use crate::domain::state::LogState;
use crate::domain::state::app::AppState;
use crate::domain::state::default_layer::DefaultLayerState;
use crate::domain::state::layers::Layers;
use crate::domain::state::tokens::TokensState;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;

/// Maximum news that wait for a slow follower. A follower further behind misses some, and is told so.
const BUFFER: usize = 1024;

/// One event, ready to be sent.
#[derive(Debug)]
pub(crate) struct News {
    pub(super) owner: Owner,
    /// The number of the entry in the log.
    pub(super) number: u64,
    /// Whether the event is the last one of its entry.
    is_last: bool,
    pub(crate) kind: &'static str,
    /// JSON, in one line.
    pub(crate) text: String,
}

impl News {
    /// A notice that followers may have missed events.
    pub(super) fn missed() -> Arc<Self> {
        Arc::new(Self {
            owner: Owner::DefaultLayer,
            number: u64::MAX,
            is_last: false,
            kind: "missed",
            text: "{}".to_owned(),
        })
    }

    /// The number after which a follower resumes; `None` within an entry, because a resumed feed repeats whole entries.
    pub(crate) fn id(&self) -> Option<u64> {
        (self.is_last && matches!(self.owner, Owner::App(_))).then_some(self.number)
    }
}

#[derive(Serialize)]
struct Message<'a> {
    app: &'a str,
    at: &'a str,
    by: &'a str,
    #[serde(flatten)]
    details: &'a Details,
}

/// The details of an event. They never contain a config, which may hold secrets.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Details {
    Publish {
        version: VersionName,
        file: FileName,
        size: u64,
        sha256: Digest,
    },
    Yank {
        version: VersionName,
        yanked: bool,
    },
    Purge {
        version: VersionName,
    },
    Configure {
        layer: LayerName,
        generation: u64,
        sha256: Digest,
    },
    Release {
        release: String,
        version: VersionName,
    },
    Move {
        channel: ChannelName,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        to: String,
    },
    Restrict {
        channel: ChannelName,
        signed_only: bool,
    },
    Sign {
        release: String,
    },
    Retain {},
}

/// A log whose events followers receive.
pub(crate) trait Announced: LogState {
    /// `None` for an event that followers do not receive.
    fn details(event: &Self::Event) -> Option<Details>;

    /// Adds details from the state, to which entry `number` has been applied.
    fn complete(&self, _details: &mut Details, _number: u64) {}
}

impl Announced for AppState {
    fn details(event: &AppEvent) -> Option<Details> {
        Some(match event {
            AppEvent::Publish {
                version,
                file,
                size,
                sha256,
                ..
            } => Details::Publish {
                version: version.clone(),
                file: file.clone(),
                size: *size,
                sha256: *sha256,
            },
            AppEvent::Yank { version, yanked } => Details::Yank {
                version: version.clone(),
                yanked: *yanked,
            },
            AppEvent::Purge { version } => Details::Purge {
                version: version.clone(),
            },
            AppEvent::Configure { layer, sha256, .. } => Details::configure(layer, *sha256),
            AppEvent::Release { statement } => {
                let statement = Statement::from_text(statement).ok()?;
                Details::Release {
                    release: format!("r{}", statement.release?),
                    version: statement.version,
                }
            }
            AppEvent::Move { channel, release } => Details::Move {
                channel: channel.clone(),
                from: None,
                to: format!("r{release}"),
            },
            AppEvent::Restrict {
                channel,
                signed_only,
            } => Details::Restrict {
                channel: channel.clone(),
                signed_only: *signed_only,
            },
            AppEvent::Sign { release, .. } => Details::Sign {
                release: format!("r{release}"),
            },
            AppEvent::Retain { .. } => Details::Retain {},
            AppEvent::Heal { .. } => return None,
        })
    }

    fn complete(&self, details: &mut Details, number: u64) {
        match details {
            Details::Configure {
                layer, generation, ..
            } => *generation = generation_of(&self.layers, layer, number),
            Details::Move { channel, from, .. } => {
                let moves = self.channels.get(channel);
                let made =
                    moves.and_then(|moves| moves.values().rev().find(|made| made.entry == number));
                *from = made.and_then(|made| Some(format!("r{}", made.from?)));
            }
            _ => {}
        }
    }
}

impl Announced for DefaultLayerState {
    fn details(event: &DefaultLayerEvent) -> Option<Details> {
        let DefaultLayerEvent::Configure { layer, sha256, .. } = event;
        Some(Details::configure(layer, *sha256))
    }

    fn complete(&self, details: &mut Details, number: u64) {
        if let Details::Configure {
            layer, generation, ..
        } = details
        {
            *generation = generation_of(&self.layers, layer, number);
        }
    }
}

impl Announced for TokensState {
    fn details(_: &Self::Event) -> Option<Details> {
        None
    }
}

/// The generation of `layer` that entry `number` wrote.
fn generation_of(layers: &Layers, layer: &LayerName, number: u64) -> u64 {
    let written = layers.generations(layer);
    let index = written.iter().rposition(|made| made.entry == number);
    index.map_or(0, |index| index as u64 + 1)
}

impl Details {
    fn configure(layer: &LayerName, sha256: Digest) -> Self {
        Self::Configure {
            layer: layer.clone(),
            generation: 0,
            sha256,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Yank { .. } => "yank",
            Self::Purge { .. } => "purge",
            Self::Configure { .. } => "configure",
            Self::Release { .. } => "release",
            Self::Move { .. } => "move",
            Self::Restrict { .. } => "restrict",
            Self::Sign { .. } => "sign",
            Self::Retain {} => "retain",
        }
    }
}

/// The news of an entry that is not yet applied to the state.
#[derive(Debug)]
pub(super) struct Draft {
    number: u64,
    at: String,
    by: String,
    details: Vec<Details>,
}

impl Draft {
    pub(super) fn of<S: Announced>(entry: &Entry<S::Event>) -> Self {
        Self {
            number: entry.number,
            at: entry.created.clone(),
            by: entry.by.clone(),
            details: entry.events.iter().filter_map(S::details).collect(),
        }
    }

    pub(super) fn finish<S: Announced>(self, owner: &Owner, state: &S) -> Vec<Arc<News>> {
        let Self {
            number,
            at,
            by,
            mut details,
        } = self;
        let count = details.len();
        let app = owner.as_str();
        let news = details.iter_mut().enumerate().map(|(index, details)| {
            state.complete(details, number);
            let message = Message {
                app,
                at: &at,
                by: &by,
                details,
            };
            Arc::new(News {
                owner: owner.clone(),
                number,
                is_last: index + 1 == count,
                kind: details.kind(),
                text: serde_json::to_string(&message).unwrap_or_default(),
            })
        });
        news.collect()
    }
}

/// Sends news to all followers.
#[derive(Debug, Clone)]
pub(super) struct Announcer(broadcast::Sender<Arc<News>>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::Sender::new(BUFFER))
    }
}

impl Announcer {
    pub(super) fn has_listeners(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(super) fn announce(&self, news: Arc<News>) {
        // The last follower may be gone.
        let _ = self.0.send(news);
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<News>> {
        self.0.subscribe()
    }
}
