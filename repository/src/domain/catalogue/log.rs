//! One log and its state in memory. A reader refreshes the state first; all writers use [`Log::commit`].
//!
//! A refresh asks the store for the entry after the last one. Readers that arrive during a refresh share the next one,
//! so many readers cost no more than a few.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use super::news::{Announced, Announcer, Draft};
use crate::domain::error::Error;
use crate::domain::timestamp;
use crate::storage::entry::Entry;
use crate::storage::keys::{self, Owner};
use crate::storage::log::SEGMENT;
use crate::storage::store::Created;
use crate::storage::{Storage, StorageError};

/// How long a writer retries while other writers win.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum age at which an entry that another server wrote is still news.
pub(super) const RECENT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Log<S: Announced> {
    pub(crate) owner: Owner,
    storage: Storage,
    state: RwLock<S>,
    /// When the store was last asked for new entries.
    refreshed: RwLock<Option<Instant>>,
    refreshing: tokio::sync::Mutex<()>,
    /// Writers of this process take turns, because a conflict would only cost a retry.
    writing: tokio::sync::Mutex<()>,
    is_registered: AtomicBool,
    /// The number of the last entry.
    changed: watch::Sender<u64>,
    is_polled: Mutex<bool>,
    announcer: Announcer,
    /// Whether the log was read to its end. Every later entry is news.
    is_loaded: AtomicBool,
}

/// What a writer decides, given the newest state.
#[derive(Debug)]
pub(crate) enum Decision<E, T> {
    /// The state is already as it should be.
    Unchanged(T),
    Append(Vec<E>, T),
}

impl<S: Announced> Log<S> {
    pub(super) fn new(owner: Owner, storage: Storage, announcer: Announcer) -> Self {
        Self {
            owner,
            storage,
            state: RwLock::default(),
            refreshed: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            is_registered: AtomicBool::default(),
            changed: watch::Sender::default(),
            is_polled: Mutex::default(),
            announcer,
            is_loaded: AtomicBool::default(),
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&S) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Brings the state up to date with what the store held at `since` or later.
    pub(super) async fn refresh(&self, since: Instant) -> Result<(), StorageError> {
        if self.is_fresh(since) {
            return Ok(());
        }
        let _refreshing = self.refreshing.lock().await;
        if self.is_fresh(since) {
            return Ok(());
        }
        let now = Instant::now();
        self.catch_up().await?;
        *self
            .refreshed
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    fn is_fresh(&self, since: Instant) -> bool {
        let refreshed = self
            .refreshed
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        refreshed.is_some_and(|refreshed| refreshed >= since)
    }

    async fn catch_up(&self) -> Result<(), StorageError> {
        let position = self.read(S::position);
        self.storage
            .read_log(&self.owner, position, |entry| {
                let is_new = self.is_loaded.load(Ordering::Relaxed);
                self.apply(entry, is_new);
            })
            .await?;
        self.is_loaded.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn apply(&self, entry: Entry<S::Event>, is_new: bool) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Checked under the lock: a listener that comes later finds the entry in the state.
        let is_news = self.announcer.has_listeners()
            && (is_new || timestamp::is_within(&entry.created, RECENT));
        let draft = is_news.then(|| Draft::of::<S>(&entry));
        let before = state.position();
        if let Err(missing) = state.apply(entry) {
            tracing::error!(owner = %self.owner, missing, "skipped an entry of the log: the entry before it is missing");
        }
        let position = state.position();
        // Two tasks may have read the same entry.
        if let Some(draft) = draft.filter(|_| position > before) {
            for news in draft.finish(&self.owner, &*state) {
                self.announcer.announce(news);
            }
        }
        drop(state);
        self.changed.send_if_modified(|last| {
            let is_newer = *last < position;
            *last = position.max(*last);
            is_newer
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns whether the caller must start to poll the store.
    pub(super) fn begin_polling(&self) -> bool {
        let mut is_polled = self
            .is_polled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *is_polled, true)
    }

    /// Returns whether polling ends because no receiver is left.
    pub(super) fn end_polling(&self) -> bool {
        let mut is_polled = self
            .is_polled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A later subscriber starts to poll again.
        *is_polled = self.changed.receiver_count() > 0;
        !*is_polled
    }

    /// Writes the events that `decide` returns for the newest state as one entry. Calls `decide` again whenever
    /// another writer wins; a refusal counts only for a state that is up to date.
    pub(crate) async fn commit<T>(
        &self,
        by: &str,
        mut decide: impl FnMut(&S) -> Result<Decision<S::Event, T>, Error>,
    ) -> Result<T, Error> {
        let _writing = self.writing.lock().await;
        let began = Instant::now();
        let mut is_fresh = false;
        let mut lost: u32 = 0;
        loop {
            let (decision, position) = self.read(|state| (decide(state), state.position()));
            let (events, outcome) = match decision {
                Ok(Decision::Append(events, outcome)) => (events, outcome),
                Ok(Decision::Unchanged(outcome)) if is_fresh => {
                    self.make_durable_to(position).await?;
                    return Ok(outcome);
                }
                Err(refusal) if is_fresh => return Err(refusal),
                _ => {
                    self.refresh(Instant::now()).await?;
                    is_fresh = true;
                    continue;
                }
            };
            let entry = Entry {
                number: position + 1,
                id: Uuid::now_v7(),
                created: timestamp::now(),
                by: by.to_owned(),
                events,
            };
            if self.storage.append(&self.owner, &entry).await? == Created::Now {
                let number = entry.number;
                self.apply(entry, true);
                if number.is_multiple_of(SEGMENT) {
                    self.storage
                        .write_segment_soon(&self.owner, number / SEGMENT - 1);
                }
                self.register().await?;
                return Ok(outcome);
            }
            lost += 1;
            if began.elapsed() > WRITE_TIMEOUT {
                return Err(Error::Contended);
            }
            tokio::time::sleep(backoff(lost)).await;
            self.refresh(Instant::now()).await?;
            is_fresh = true;
        }
    }

    /// Makes the entries in memory durable, before another log references them.
    pub(crate) async fn make_durable(&self) -> Result<(), StorageError> {
        self.make_durable_to(self.read(S::position)).await
    }

    /// An existing entry is acknowledged only when it is durable and its app is listed.
    async fn make_durable_to(&self, position: u64) -> Result<(), StorageError> {
        if position == 0 {
            return Ok(());
        }
        let key = keys::entry(&self.owner, position);
        self.storage.make_durable(&key).await?;
        self.register().await
    }

    async fn register(&self) -> Result<(), StorageError> {
        let Owner::App(app) = &self.owner else {
            return Ok(());
        };
        if self.is_registered.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.storage.register(app).await?;
        self.is_registered.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The pause after `lost` lost attempts: none after the first, then random, so that writers spread out.
fn backoff(lost: u32) -> Duration {
    let most = u64::from(5 * lost.saturating_sub(1)).min(100);
    // The last bits of a UUID of version 7 are random.
    let random = Uuid::now_v7().as_u128() % u128::from(most + 1);
    Duration::from_millis(u64::try_from(random).unwrap_or(most))
}
