//! This replica's copy of the log, and the notification of its windows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::limits;
use crate::wall::{Event, Id, Log};

/// Events that may wait for a slow window. A window further behind is closed; it reconnects and catches up.
const QUEUE: usize = 256;

#[derive(Debug, Clone)]
pub(crate) enum Update {
    Event(Arc<Event>),
    /// The log was replaced: windows need the whole wall again.
    Snapshot,
}

#[derive(Debug)]
pub(crate) struct Hub {
    log: Mutex<Log>,
    /// Whether the log has been read from Redis. Changes only while the log is locked.
    is_loaded: AtomicBool,
    updates: broadcast::Sender<Update>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            log: Mutex::default(),
            is_loaded: AtomicBool::new(false),
            updates: broadcast::Sender::new(QUEUE),
        }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        // A panic leaves no half-done change in the log, so a poisoned lock is safe to use.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event and sends it to all windows, unless it is known.
    pub(crate) fn add(&self, event: Event) {
        let mut log = self.log();
        if log.add(event.clone()) {
            // Sent under the lock, so that no window joins in between. It fails if no window is open.
            let _ = self.updates.send(Update::Event(Arc::new(event)));
        }
    }

    /// Replaces the log. Windows get only the new events if the new log continues the old one, and else a snapshot.
    pub(crate) fn replace(&self, events: Vec<Event>) {
        let mut log = self.log();
        let last = log.last();
        let new = Log::new(events);
        let was_loaded = self.is_loaded.swap(true, Ordering::Relaxed);
        let later: Vec<_> = new.events().filter(|event| event.id > last).collect();
        let continues = last == Id::default() || new.after(last).is_some();
        if was_loaded && continues && later.len() <= QUEUE / 2 {
            for event in later {
                let _ = self.updates.send(Update::Event(Arc::new(event.clone())));
            }
        } else {
            let _ = self.updates.send(Update::Snapshot);
        }
        *log = new;
    }

    /// Subscribes a window: the events since `after`, or `None` if they are unknown and the window needs a
    /// snapshot; and a receiver of all later updates.
    pub(crate) fn join(
        &self,
        after: Option<Id>,
    ) -> (Option<Vec<Event>>, broadcast::Receiver<Update>) {
        let log = self.log();
        let receiver = self.updates.subscribe();
        if !self.is_loaded.load(Ordering::Relaxed) {
            // A snapshot follows as soon as the log is loaded.
            return (Some(Vec::new()), receiver);
        }
        let missed = after.and_then(|id| {
            // An empty page has missed every event. A full log may have dropped some of them.
            if id == Id::default() && log.events().count() < limits::EVENTS {
                return Some(log.events().cloned().collect());
            }
            Some(log.after(id)?.cloned().collect())
        });
        (missed, receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::Content;

    fn event(id: &str) -> Event {
        Event {
            id: id.parse().unwrap(),
            content: Content::Picture {
                picture: id.into(),
                caption: String::new(),
            },
        }
    }

    fn ids(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| event.id.to_string()).collect()
    }

    fn received(receiver: &mut broadcast::Receiver<Update>) -> Vec<String> {
        let mut received = Vec::new();
        while let Ok(update) = receiver.try_recv() {
            received.push(match update {
                Update::Event(event) => event.id.to_string(),
                Update::Snapshot => "snapshot".to_owned(),
            });
        }
        received
    }

    #[test]
    fn a_window_gets_every_event_exactly_once() {
        let hub = Hub::new();
        hub.replace(vec![event("1-0"), event("2-0")]);
        let (missed, mut receiver) = hub.join("1-0".parse().ok());
        assert_eq!(ids(&missed.unwrap()), ["2-0"]);
        hub.add(event("3-0"));
        // The channel delivers an event that was already read.
        hub.add(event("2-0"));
        assert_eq!(received(&mut receiver), ["3-0"]);
        assert!(hub.join("1-1".parse().ok()).0.is_none());
        assert!(hub.join(None).0.is_none());
        assert_eq!(hub.join("0-0".parse().ok()).0.unwrap().len(), 3);
    }

    #[test]
    fn a_window_that_joins_before_the_log_is_loaded_gets_a_snapshot() {
        let hub = Hub::new();
        let (missed, mut receiver) = hub.join("1-0".parse().ok());
        assert_eq!(missed, Some(Vec::new()));
        hub.replace(vec![event("1-0"), event("2-0")]);
        assert_eq!(received(&mut receiver), ["snapshot"]);
    }

    #[test]
    fn a_replaced_log_is_sent_as_events_if_it_continues_and_else_as_a_snapshot() {
        let hub = Hub::new();
        hub.replace(vec![event("1-0")]);
        let (_, mut receiver) = hub.join(None);
        hub.replace(vec![event("1-0"), event("2-0")]);
        assert_eq!(received(&mut receiver), ["2-0"]);
        hub.replace(vec![event("5-0")]);
        assert_eq!(received(&mut receiver), ["snapshot"]);
        // Too many events for a window's queue.
        hub.replace((5..5 + QUEUE).map(|n| event(&format!("{n}-0"))).collect());
        assert_eq!(received(&mut receiver), ["snapshot"]);
        hub.replace(Vec::new());
        assert_eq!(received(&mut receiver), ["snapshot"]);
        assert!(!hub.log().has("5-0"));
    }
}
