//! A repository's link, shared evenly by all that is being sent.
//!
//! All transfers under way have the same rate, so one number tells how far each is: the bytes that any of
//! them has received since the beginning. A transfer is complete when that number reaches its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// For a heap: a number that is never NaN.
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
    /// Bytes that each transfer has received since the beginning, at the time `now`.
    received: f64,
    now: f64,
    /// Where transfers are complete; hosts that have gone are still in it, and are skipped.
    marks: BinaryHeap<Reverse<(Mark, usize, u32)>>,
    pub(super) active: usize,
    pub(super) queue: VecDeque<(usize, u32)>,
    /// Of those in the queue, how many have not gone.
    pub(super) waiting: usize,
    /// Counts what changes the rate.
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

    /// To the time `now`, before anything changes.
    pub(super) fn advance(&mut self, now: f64) {
        if self.active > 0 {
            self.received += (now - self.now) * self.rate();
        }
        self.now = now;
        self.change += 1;
    }

    /// Begins a transfer, and says where it will be complete.
    pub(super) fn begin(&mut self, host: usize, attempt: u32, bytes: f64) -> f64 {
        let mark = self.received + bytes;
        self.active += 1;
        self.marks.push(Reverse((Mark(mark), host, attempt)));
        mark
    }

    /// What a transfer that ends at `mark` still lacks.
    pub(super) fn lacks(&self, mark: f64) -> f64 {
        (mark - self.received).max(0.0)
    }

    /// The next transfer to be complete, and when; those that `has_gone` names are dropped.
    pub(super) fn next(&mut self, has_gone: impl Fn(usize, u32) -> bool) -> Option<(f64, usize)> {
        while let Some(Reverse((mark, host, attempt))) = self.marks.peek().copied() {
            if !has_gone(host, attempt) {
                return Some((self.now + self.lacks(mark.0) / self.rate(), host));
            }
            self.marks.pop();
        }
        None
    }

    /// Ends the transfer that [`Self::next`] named.
    pub(super) fn complete(&mut self) {
        self.marks.pop();
        self.active -= 1;
    }
}
