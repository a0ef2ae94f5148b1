//! What happened to an app, as those are told who follow it.

use std::sync::Arc;

use repository_api::release::{LayerName, Statement};
use repository_api::{ChannelName, Digest, FileName, VersionName};
use serde::Serialize;
use tokio::sync::broadcast;

use super::event::Event;
use super::state::AppState;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;

/// So many wait for a reader who is slow; then that one is told that it missed some.
const BEHIND: usize = 1024;

/// One thing that happened, in words that it is told with.
#[derive(Debug)]
pub(crate) struct News {
    pub(super) owner: Owner,
    /// The number of its entry in the log.
    pub(super) number: u64,
    /// Whether it is the last thing that the entry says.
    is_last: bool,
    pub(crate) kind: &'static str,
    /// JSON, in one line.
    pub(crate) text: String,
}

impl News {
    /// That something may have happened that was not told.
    pub(super) fn missed() -> Arc<Self> {
        Arc::new(Self {
            owner: Owner::Default,
            number: u64::MAX,
            is_last: false,
            kind: "missed",
            text: "{}".to_owned(),
        })
    }

    /// From where to go on. Not in the middle of an entry: then all of it is told again.
    pub(crate) fn id(&self) -> Option<u64> {
        (self.is_last && matches!(self.owner, Owner::App(_))).then_some(self.number)
    }
}

#[derive(Serialize)]
struct Told<'a> {
    app: &'a str,
    at: &'a str,
    by: &'a str,
    #[serde(flatten)]
    what: &'a What,
}

/// What is told of an event. No content of a config: it may hold secrets.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum What {
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

impl What {
    /// `None` for what is nobody's business.
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Publish {
                version,
                file,
                size,
                sha256,
                ..
            } => Self::Publish {
                version: version.clone(),
                file: file.clone(),
                size: *size,
                sha256: *sha256,
            },
            Event::Yank { version, yanked } => Self::Yank {
                version: version.clone(),
                yanked: *yanked,
            },
            Event::Purge { version } => Self::Purge {
                version: version.clone(),
            },
            Event::Configure { layer, sha256, .. } => Self::Configure {
                layer: layer.clone(),
                generation: 0,
                sha256: *sha256,
            },
            Event::Release { statement } => {
                let statement = Statement::from_text(statement).ok()?;
                Self::Release {
                    release: format!("r{}", statement.release?),
                    version: statement.version,
                }
            }
            Event::Move { channel, release } => Self::Move {
                channel: channel.clone(),
                from: None,
                to: format!("r{release}"),
            },
            Event::Restrict {
                channel,
                signed_only,
            } => Self::Restrict {
                channel: channel.clone(),
                signed_only: *signed_only,
            },
            Event::Sign { release, .. } => Self::Sign {
                release: format!("r{release}"),
            },
            Event::Retain { .. } => Self::Retain {},
            Event::Heal { .. } | Event::Grant { .. } | Event::Revoke { .. } => return None,
        })
    }

    /// Adds what only the state knows, in which entry `number` is by now.
    fn complete(&mut self, number: u64, state: &AppState) {
        match self {
            Self::Configure {
                layer, generation, ..
            } => {
                let written = state.generations(layer);
                let at = written.iter().rposition(|made| made.entry == number);
                *generation = at.map_or(0, |at| at as u64 + 1);
            }
            Self::Move { channel, from, .. } => {
                let moves = state.channels.get(channel);
                let made =
                    moves.and_then(|moves| moves.values().rev().find(|made| made.entry == number));
                *from = made.and_then(|made| Some(format!("r{}", made.from?)));
            }
            _ => {}
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

/// An entry as it will be told, once it is in the state.
#[derive(Debug)]
pub(super) struct Draft {
    number: u64,
    at: String,
    by: String,
    whats: Vec<What>,
}

impl Draft {
    pub(super) fn of(entry: &Entry<Event>) -> Self {
        Self {
            number: entry.number,
            at: entry.created.clone(),
            by: entry.by.clone(),
            whats: entry.events.iter().filter_map(What::of).collect(),
        }
    }

    pub(super) fn finish(self, owner: &Owner, state: &AppState) -> Vec<Arc<News>> {
        let Self {
            number,
            at,
            by,
            mut whats,
        } = self;
        let count = whats.len();
        let app = owner.as_str();
        let news = whats.iter_mut().enumerate().map(|(index, what)| {
            what.complete(number, state);
            let told = Told {
                app,
                at: &at,
                by: &by,
                what,
            };
            Arc::new(News {
                owner: owner.clone(),
                number,
                is_last: index + 1 == count,
                kind: what.kind(),
                text: serde_json::to_string(&told).unwrap_or_default(),
            })
        });
        news.collect()
    }
}

/// Where news go.
#[derive(Debug, Clone)]
pub(super) struct Announcer(broadcast::Sender<Arc<News>>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl Announcer {
    pub(super) fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(super) fn announce(&self, news: Arc<News>) {
        // Nobody may be listening any more.
        let _ = self.0.send(news);
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<News>> {
        self.0.subscribe()
    }
}
