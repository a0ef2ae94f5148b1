//! A repository's link, shared evenly by its transfers.
//!
//! All active transfers have the same rate, so one counter tracks them all: the bytes that a transfer would have
//! received since the beginning. A transfer is complete when the counter reaches the transfer's mark.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A number that is never NaN, so it can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Mark(f64);

impl Eq for Mark {}

#[expect(
    clippy::derive_ord_xor_partial_ord,
    reason = "there is no NaN, so both agree"
)]
impl Ord for Mark {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Debug)]
pub(super) struct Origin {
    link: f64,
    host_link: f64,
    /// The counter, at the time `now`.
    received: f64,
    now: f64,
    /// Marks of the transfers. Those of hosts that have left are skipped.
    marks: BinaryHeap<Reverse<(Mark, usize, u32)>>,
    pub(super) active: usize,
    pub(super) queue: VecDeque<(usize, u32)>,
    /// Number of hosts in the queue that have not left.
    pub(super) waiting: usize,
    /// Incremented whenever the rate may change.
    pub(super) change: u64,
}

impl Origin {
    pub(super) fn new(link: f64, host_link: f64) -> Self {
        Self {
            link,
            host_link,
            received: 0.0,
            now: 0.0,
            marks: BinaryHeap::new(),
            active: 0,
            queue: VecDeque::new(),
            waiting: 0,
            change: 0,
        }
    }

    fn rate(&self) -> f64 {
        (self.link / self.active.max(1) as f64).min(self.host_link)
    }

    /// Advances the counter to the time `now`. Call it before each change.
    pub(super) fn advance(&mut self, now: f64) {
        if self.active > 0 {
            self.received += (now - self.now) * self.rate();
        }
        self.now = now;
        self.change += 1;
    }

    /// Begins a transfer and returns its mark.
    pub(super) fn begin(&mut self, host: usize, attempt: u32, bytes: f64) -> f64 {
        let mark = self.received + bytes;
        self.active += 1;
        self.marks.push(Reverse((Mark(mark), host, attempt)));
        mark
    }

    /// Returns the missing bytes of the transfer that ends at `mark`.
    pub(super) fn missing(&self, mark: f64) -> f64 {
        (mark - self.received).max(0.0)
    }

    /// Returns when the next transfer completes, and its host. Drops the transfers for which `has_left` is true.
    pub(super) fn next(&mut self, has_left: impl Fn(usize, u32) -> bool) -> Option<(f64, usize)> {
        while let Some(Reverse((mark, host, attempt))) = self.marks.peek().copied() {
            if !has_left(host, attempt) {
                return Some((self.now + self.missing(mark.0) / self.rate(), host));
            }
            self.marks.pop();
        }
        None
    }

    /// Ends the transfer that [`Self::next`] returned.
    pub(super) fn complete(&mut self) {
        self.marks.pop();
        self.active -= 1;
    }
}
