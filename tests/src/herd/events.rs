//! What will happen, by time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A host connects.
    Connect { host: usize },
    /// A host's patience ends, if it still waits for what it waited for then.
    GiveUp { host: usize, attempt: u32 },
    /// A host's deadline.
    Deadline { host: usize },
    /// A repository's next transfer is complete, unless something else happened there meanwhile.
    Complete { repository: usize, change: u64 },
}

#[derive(Debug, Clone, Copy)]
struct Event {
    at: f64,
    /// What happens at one time happens in the order in which it was planned.
    number: u64,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at
            .total_cmp(&other.at)
            .then(self.number.cmp(&other.number))
    }
}

#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<Event>>,
    planned: u64,
}

impl Events {
    pub(super) fn plan(&mut self, at: f64, what: What) {
        self.planned += 1;
        self.heap.push(Reverse(Event {
            at,
            number: self.planned,
            what,
        }));
    }

    pub(super) fn next(&mut self) -> Option<(f64, What)> {
        let Reverse(event) = self.heap.pop()?;
        Some((event.at, event.what))
    }
}
