//! What this replica knows of the log, and who is told when it grows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::wall::{Event, Id, Log};

/// A window that is so many events behind is too slow, and is dropped: it will ask for what it missed.
const QUEUE: usize = 256;

#[derive(Debug, Clone)]
pub(crate) enum News {
    Event(Arc<Event>),
    /// The log is another one: what is shown has to be replaced.
    Everything,
}

#[derive(Debug)]
pub(crate) struct Hub {
    log: Mutex<Log>,
    /// Whether it was ever read: until then nobody knows what a window has missed. Set under the lock.
    is_read: AtomicBool,
    news: broadcast::Sender<News>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            log: Mutex::default(),
            is_read: AtomicBool::new(false),
            news: broadcast::Sender::new(QUEUE),
        }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        // Nothing is half done in there when somebody panics.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more event, told to all windows unless it is known.
    pub(crate) fn add(&self, event: Event) {
        let mut log = self.log();
        if log.add(event.clone()) {
            // Under the lock, so that nobody joins between the two. Nobody need be there.
            let _ = self.news.send(News::Event(Arc::new(event)));
        }
    }

    /// The whole log as it was read. Windows are told what is new in it, if it goes on where they are.
    pub(crate) fn replace(&self, events: Vec<Event>) {
        let mut log = self.log();
        let last = log.last();
        let new = Log::new(events);
        let was_read = self.is_read.swap(true, Ordering::Relaxed);
        let later: Vec<_> = new.events().filter(|event| event.id > last).collect();
        let goes_on = last == Id::default() || new.after(last).is_some();
        if was_read && goes_on && later.len() <= QUEUE / 2 {
            for event in later {
                let _ = self.news.send(News::Event(Arc::new(event.clone())));
            }
        } else {
            let _ = self.news.send(News::Everything);
        }
        *log = new;
    }

    /// What came after `after`, none if nobody knows; and whatever comes from now on.
    pub(crate) fn join(
        &self,
        after: Option<Id>,
    ) -> (Option<Vec<Event>>, broadcast::Receiver<News>) {
        let log = self.log();
        let receiver = self.news.subscribe();
        if !self.is_read.load(Ordering::Relaxed) {
            // It will be told everything.
            return (Some(Vec::new()), receiver);
        }
        let missed = after.and_then(|id| {
            // A page that was empty has missed all that there is.
            if id == Id::default() && log.events().count() < crate::wall::KEPT {
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
    use crate::wall::What;

    fn event(id: &str) -> Event {
        Event {
            id: id.parse().unwrap(),
            what: What::Picture {
                picture: id.into(),
                caption: String::new(),
            },
        }
    }

    fn ids(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| event.id.to_string()).collect()
    }

    fn told(receiver: &mut broadcast::Receiver<News>) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(news) = receiver.try_recv() {
            told.push(match news {
                News::Event(event) => event.id.to_string(),
                News::Everything => "everything".to_owned(),
            });
        }
        told
    }

    #[test]
    fn who_joins_misses_nothing_and_gets_nothing_twice() {
        let hub = Hub::new();
        hub.replace(vec![event("1-0"), event("2-0")]);
        let (missed, mut receiver) = hub.join("1-0".parse().ok());
        assert_eq!(ids(&missed.unwrap()), ["2-0"]);
        hub.add(event("3-0"));
        // The channel tells what was read already.
        hub.add(event("2-0"));
        assert_eq!(told(&mut receiver), ["3-0"]);
        assert!(hub.join("1-1".parse().ok()).0.is_none());
        assert!(hub.join(None).0.is_none());
        assert_eq!(hub.join("0-0".parse().ok()).0.unwrap().len(), 3);
    }

    #[test]
    fn who_comes_before_the_log_is_told_all_of_it() {
        let hub = Hub::new();
        let (missed, mut receiver) = hub.join("1-0".parse().ok());
        assert_eq!(missed, Some(Vec::new()));
        hub.replace(vec![event("1-0"), event("2-0")]);
        assert_eq!(told(&mut receiver), ["everything"]);
    }

    #[test]
    fn a_log_that_goes_on_is_told_on_and_another_one_as_a_whole() {
        let hub = Hub::new();
        hub.replace(vec![event("1-0")]);
        let (_, mut receiver) = hub.join(None);
        hub.replace(vec![event("1-0"), event("2-0")]);
        assert_eq!(told(&mut receiver), ["2-0"]);
        hub.replace(vec![event("5-0")]);
        assert_eq!(told(&mut receiver), ["everything"]);
        // More than a window could be told one by one.
        hub.replace((5..5 + QUEUE).map(|at| event(&format!("{at}-0"))).collect());
        assert_eq!(told(&mut receiver), ["everything"]);
        hub.replace(Vec::new());
        assert_eq!(told(&mut receiver), ["everything"]);
        assert!(!hub.log().has("5-0"));
    }
}
