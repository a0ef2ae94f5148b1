//! Limits and counts requests that stay open for events: long polls and event streams.

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

    /// Whether there is room for one more long poll or event stream. The server notices a disconnected client only when it
    /// sends data, so the limit reserves connections for other requests.
    fn has_room(&self) -> bool {
        self.metrics.waiting.get() + self.metrics.following.get() < self.max
    }

    /// Counts a long poll until the result is dropped; `None` if there is no room.
    pub(crate) fn long_poll(&self) -> Option<Counted> {
        self.has_room().then(|| Counted::new(&self.metrics.waiting))
    }

    /// Counts an event stream until the result is dropped; `None` if there is no room.
    pub(crate) fn event_stream(&self) -> Option<Counted> {
        self.has_room()
            .then(|| Counted::new(&self.metrics.following))
    }

    /// Ends all waiting requests because the server stops.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Becomes `true` when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}
