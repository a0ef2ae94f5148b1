//! The event queue of the simulation, ordered by time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A host connects.
    Connect { host: usize },
    /// A host's attempt times out, if it is still the current one.
    TimeOut { host: usize, attempt: u32 },
    /// A host reaches its deadline.
    Deadline { host: usize },
    /// A repository completes its next transfer, unless its transfers have changed since.
    Complete { repository: usize, change: u64 },
}

#[derive(Debug, Clone, Copy)]
struct Scheduled {
    at: f64,
    /// Orders events of the same time by when they were scheduled.
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at
            .total_cmp(&other.at)
            .then(self.number.cmp(&other.number))
    }
}

#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<Scheduled>>,
    count: u64,
}

impl Events {
    pub(super) fn schedule(&mut self, at: f64, event: Event) {
        self.count += 1;
        self.heap.push(Reverse(Scheduled {
            at,
            number: self.count,
            event,
        }));
    }

    pub(super) fn next(&mut self) -> Option<(f64, Event)> {
        let Reverse(next) = self.heap.pop()?;
        Some((next.at, next.event))
    }
}
