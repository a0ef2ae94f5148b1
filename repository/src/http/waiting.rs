//! Requests that stay open until something happens: long polls and event streams.

use std::sync::Arc;

use tokio::sync::watch;

use super::metrics::{Counted, Metrics};

#[derive(Debug)]
pub(crate) struct Waiting {
    metrics: Arc<Metrics>,
    /// Maximum open requests.
    max: i64,
    stopping: watch::Sender<bool>,
}

impl Waiting {
    pub(crate) fn new(metrics: Arc<Metrics>, max: usize) -> Self {
        Self {
            metrics,
            max: i64::try_from(max).unwrap_or(i64::MAX),
            stopping: watch::Sender::default(),
        }
    }

    /// Whether there is room for one more long poll or event stream. A client that went away is noticed only when the
    /// server sends something, so some connections always stay free for other requests.
    fn has_room(&self) -> bool {
        self.metrics.waiting.get() + self.metrics.following.get() < self.max
    }

    /// Counts a long poll while the result exists; `None` if there is no room.
    pub(crate) fn long_poll(&self) -> Option<Counted> {
        self.has_room().then(|| Counted::new(&self.metrics.waiting))
    }

    /// Counts an event stream while the result exists; `None` if there is no room.
    pub(crate) fn event_stream(&self) -> Option<Counted> {
        self.has_room()
            .then(|| Counted::new(&self.metrics.following))
    }

    /// Ends all waiting requests: the server stops.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Becomes `true` when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}
