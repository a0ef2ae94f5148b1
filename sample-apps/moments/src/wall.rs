//! What happened, in order, and the wall that it adds up to. The wall is never kept: it is what the
//! log says, so a replica that has read the same log shows the same wall.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// So many events are kept, here and in Redis; the oldest go first, and with a picture its comments.
pub(crate) const KEPT: usize = 2000;

/// Where in the log an event stands: a stream's own id, milliseconds since 1970 and a number.
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
pub(crate) enum What {
    Picture {
        /// The name under which it is kept, made of its bytes.
        picture: String,
        /// What is to be seen on it.
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
    pub(crate) what: What,
}

/// The newest events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log(VecDeque<Event>);

/// A picture with the newest of its comments, oldest first.
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

    /// Whether it was news: an event that is already there changes nothing.
    pub(crate) fn add(&mut self, event: Event) -> bool {
        if event.id <= self.last() {
            return false;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(event);
        true
    }

    /// The newest event; the least of all ids where there is none.
    pub(crate) fn last(&self) -> Id {
        self.0.back().map(|event| event.id).unwrap_or_default()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.0.iter()
    }

    /// What came after an event; none if that one is not known here, so that nobody knows what is missing.
    pub(crate) fn after(&self, id: Id) -> Option<impl Iterator<Item = &Event>> {
        let at = self.0.binary_search_by_key(&id, |event| event.id).ok()?;
        Some(self.0.range(at + 1..))
    }

    pub(crate) fn has(&self, picture: &str) -> bool {
        self.events().any(|event| is_of(event, picture))
    }

    /// The newest pictures first, with the newest comments of each.
    pub(crate) fn moments(&self, pictures: usize, comments: usize) -> Vec<Moment<'_>> {
        let mut moments: Vec<Moment<'_>> = Vec::new();
        let mut places = HashMap::new();
        for Event { id, what } in &self.0 {
            match what {
                What::Picture { picture, caption } => {
                    // Two that upload the same picture at once make one moment.
                    places.entry(picture.as_str()).or_insert_with(|| {
                        moments.push(Moment {
                            id: *id,
                            picture,
                            caption,
                            comments: VecDeque::new(),
                        });
                        moments.len() - 1
                    });
                }
                What::Comment {
                    picture,
                    name,
                    text,
                } => {
                    let Some(place) = places.get(picture.as_str()) else {
                        continue;
                    };
                    let all: &mut VecDeque<_> = &mut moments[*place].comments;
                    all.push_back(Comment {
                        id: *id,
                        name,
                        text,
                    });
                    if all.len() > comments {
                        all.pop_front();
                    }
                }
            }
        }
        moments.into_iter().rev().take(pictures).collect()
    }
}

fn is_of(event: &Event, wanted: &str) -> bool {
    matches!(&event.what, What::Picture { picture, .. } if picture == wanted)
}

#[cfg(test)]
mod tests;
