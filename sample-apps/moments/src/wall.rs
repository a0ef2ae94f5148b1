//! The log of events, and the wall that is computed from it. Replicas that have read the same log show the same
//! wall.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::limits;

/// The id of an event: the entry id of the Redis stream, which is milliseconds since 1970 and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Id {
    milliseconds: u64,
    number: u64,
}

impl Id {
    pub(crate) fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.milliseconds)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number).ok_or(())
        };
        let (milliseconds, rest) = text.split_once('-').ok_or(())?;
        Ok(Self {
            milliseconds: number(milliseconds)?,
            number: number(rest)?,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(crate) enum Content {
    Picture {
        /// The name of the stored picture.
        picture: String,
        caption: String,
    },
    Comment {
        picture: String,
        name: String,
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Id,
    pub(crate) content: Content,
}

/// The newest events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log(VecDeque<Event>);

/// A picture with its newest comments, oldest first.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) id: Id,
    pub(crate) picture: &'a str,
    pub(crate) caption: &'a str,
    pub(crate) comments: VecDeque<Comment<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Comment<'a> {
    pub(crate) id: Id,
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl Log {
    pub(crate) fn new(events: impl IntoIterator<Item = Event>) -> Self {
        let mut log = Self::default();
        for event in events {
            log.add(event);
        }
        log
    }

    /// Returns whether the event was new. A known event changes nothing.
    pub(crate) fn add(&mut self, event: Event) -> bool {
        if event.id <= self.last() {
            return false;
        }
        if self.0.len() == limits::EVENTS {
            self.0.pop_front();
        }
        self.0.push_back(event);
        true
    }

    /// Returns the id of the newest event, or the lowest id if the log is empty.
    pub(crate) fn last(&self) -> Id {
        self.0.back().map(|event| event.id).unwrap_or_default()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.0.iter()
    }

    /// Returns the events after `id`, or `None` if the log doesn't contain `id`: then it may lack some of them.
    pub(crate) fn after(&self, id: Id) -> Option<impl Iterator<Item = &Event>> {
        let index = self.0.binary_search_by_key(&id, |event| event.id).ok()?;
        Some(self.0.range(index + 1..))
    }

    pub(crate) fn has(&self, picture: &str) -> bool {
        self.events().any(|event| is_picture(event, picture))
    }

    /// Returns the newest pictures, newest first, each with its newest comments.
    pub(crate) fn moments(&self, pictures: usize, comments: usize) -> Vec<Moment<'_>> {
        let mut moments: Vec<Moment<'_>> = Vec::new();
        let mut positions = HashMap::new();
        for Event { id, content } in &self.0 {
            match content {
                Content::Picture { picture, caption } => {
                    // Two simultaneous uploads of one picture are one moment.
                    positions.entry(picture.as_str()).or_insert_with(|| {
                        moments.push(Moment {
                            id: *id,
                            picture,
                            caption,
                            comments: VecDeque::new(),
                        });
                        moments.len() - 1
                    });
                }
                Content::Comment {
                    picture,
                    name,
                    text,
                } => {
                    let Some(position) = positions.get(picture.as_str()) else {
                        continue;
                    };
                    let newest: &mut VecDeque<_> = &mut moments[*position].comments;
                    newest.push_back(Comment {
                        id: *id,
                        name,
                        text,
                    });
                    if newest.len() > comments {
                        newest.pop_front();
                    }
                }
            }
        }
        moments.into_iter().rev().take(pictures).collect()
    }
}

fn is_picture(event: &Event, name: &str) -> bool {
    matches!(&event.content, Content::Picture { picture, .. } if picture == name)
}

#[cfg(test)]
mod tests;
