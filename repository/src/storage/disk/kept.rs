//! The blobs that were used last, ready to be sent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Key;
use super::mapped::SMALL;

/// Bytes of small blobs that are kept.
const MAX_BYTES: usize = 32 << 20;

/// Small blobs that are kept at the most.
const MAX_SMALL: usize = 4096;

/// Mapped ones that are kept at the most: each holds a descriptor.
const MAX_MAPPED: usize = 128;

/// What was sent so long ago at the most is still in the page cache.
const RECENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Mapped {
    small: Mutex<Kept>,
    mapped: Mutex<Kept>,
}

impl Default for Mapped {
    fn default() -> Self {
        Self {
            small: Mutex::new(Kept::new(MAX_SMALL, MAX_BYTES)),
            mapped: Mutex::new(Kept::new(MAX_MAPPED, usize::MAX)),
        }
    }
}

impl Mapped {
    /// The bytes, and whether they were asked for just before.
    pub(super) fn get(&self, key: &Key) -> Option<(Bytes, bool)> {
        let small = locked(&self.small).get(key);
        small.or_else(|| locked(&self.mapped).get(key))
    }

    pub(super) fn keep(&self, key: &Key, bytes: Bytes) {
        let place = if bytes.len() as u64 <= SMALL {
            &self.small
        } else {
            &self.mapped
        };
        locked(place).keep(key, bytes);
    }

    pub(super) fn forget(&self, key: &Key) {
        locked(&self.small).forget(key);
        locked(&self.mapped).forget(key);
    }
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Blob {
    bytes: Bytes,
    /// By the clock of uses, and by the other one.
    used: u64,
    at: Instant,
}

#[derive(Debug)]
struct Kept {
    blobs: HashMap<Key, Blob>,
    /// Counts uses.
    clock: u64,
    bytes: usize,
    max_blobs: usize,
    max_bytes: usize,
}

impl Kept {
    fn new(max_blobs: usize, max_bytes: usize) -> Self {
        Self {
            blobs: HashMap::new(),
            clock: 0,
            bytes: 0,
            max_blobs,
            max_bytes,
        }
    }

    fn get(&mut self, key: &Key) -> Option<(Bytes, bool)> {
        self.clock += 1;
        let blob = self.blobs.get_mut(key)?;
        blob.used = self.clock;
        let now = Instant::now();
        let last = std::mem::replace(&mut blob.at, now);
        Some((blob.bytes.clone(), now - last < RECENT))
    }

    fn keep(&mut self, key: &Key, bytes: Bytes) {
        self.forget(key);
        self.clock += 1;
        self.bytes = self.bytes.saturating_add(bytes.len());
        let blob = Blob {
            bytes,
            used: self.clock,
            at: Instant::now(),
        };
        self.blobs.insert(key.clone(), blob);
        if self.blobs.len() > self.max_blobs || self.bytes > self.max_bytes {
            self.make_room();
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(blob) = self.blobs.remove(key) {
            self.bytes = self.bytes.saturating_sub(blob.bytes.len());
        }
    }

    /// Drops the half that was used longest ago: seldom, so that each use is cheap.
    fn make_room(&mut self) {
        let mut uses: Vec<u64> = self.blobs.values().map(|blob| blob.used).collect();
        let middle = uses.len() / 2;
        let (_, median, _) = uses.select_nth_unstable(middle);
        let median = *median;
        self.blobs.retain(|_, blob| blob.used >= median);
        self.bytes = self.blobs.values().map(|blob| blob.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keys::{BlobId, blob};

    #[test]
    fn what_was_used_last_is_kept() {
        let mapped = Mapped::default();
        let first = blob(BlobId::new());
        let size = usize::try_from(SMALL).unwrap();
        mapped.keep(&first, vec![1; size].into());
        for _ in 0..2 * MAX_BYTES / size {
            assert!(mapped.get(&first).is_some());
            mapped.keep(&blob(BlobId::new()), vec![2; size].into());
            assert!(locked(&mapped.small).bytes <= MAX_BYTES);
        }
        mapped.forget(&first);
        assert!(mapped.get(&first).is_none());
    }
}
