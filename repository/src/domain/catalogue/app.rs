//! One app's log and what follows from it, in memory: brought up to date before it is looked at, and
//! written by one rule.
//!
//! To be up to date costs one question to the store: is there an entry after the last one? Whoever
//! asks while the answer is under way waits for the next one, so many readers cost no more than few.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use super::event::Event;
use super::news::{Announcer, Draft};
use super::state::AppState;
use crate::domain::timestamp;
use crate::http::failure::Failure;
use crate::storage::entry::Entry;
use crate::storage::keys::{self, Owner};
use crate::storage::log::SEGMENT;
use crate::storage::store::Created;
use crate::storage::{Storage, StorageError};

/// For how long a writer tries, when others are always quicker.
const PATIENCE: Duration = Duration::from_secs(30);

/// An app that was not yet read may have been made by another server just now: that is news, too.
pub(super) const JUST_NOW: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) owner: Owner,
    state: RwLock<AppState>,
    /// When the store was last asked, and held while it is.
    asked: RwLock<Option<Instant>>,
    asking: tokio::sync::Mutex<()>,
    /// Writers go one after the other: against each other they would only lose time.
    writing: tokio::sync::Mutex<()>,
    enlisted: AtomicBool,
    /// The number of the last entry, for those who wait for the next one.
    changed: watch::Sender<u64>,
    /// Whether the store is asked for it now and then.
    is_polled: Mutex<bool>,
    announcer: Announcer,
    /// Whether the log was read to its end: what comes from then on is new.
    is_loaded: AtomicBool,
}

/// What a writer wants, given a state.
#[derive(Debug)]
pub(crate) enum Decision<T> {
    /// It is so already.
    Settled(T),
    Append(Vec<Event>, T),
}

impl App {
    pub(super) fn new(owner: Owner, announcer: Announcer) -> Self {
        Self {
            owner,
            state: RwLock::default(),
            asked: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            enlisted: AtomicBool::default(),
            changed: watch::Sender::default(),
            is_polled: Mutex::default(),
            announcer,
            is_loaded: AtomicBool::default(),
        }
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&AppState) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings the state up to date with what the store held at `since` or later.
    pub(crate) async fn refresh(
        &self,
        storage: &Storage,
        since: Instant,
    ) -> Result<(), StorageError> {
        if self.is_fresh(since) {
            return Ok(());
        }
        let _asking = self.asking.lock().await;
        if self.is_fresh(since) {
            return Ok(());
        }
        let now = Instant::now();
        self.catch_up(storage).await?;
        *self.asked.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    fn is_fresh(&self, since: Instant) -> bool {
        let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked >= since)
    }

    async fn catch_up(&self, storage: &Storage) -> Result<(), StorageError> {
        let position = self.read(|state| state.position);
        storage
            .read_log(&self.owner, position, |entry| {
                let is_new = self.is_loaded.load(Ordering::Relaxed);
                self.apply(entry, is_new);
            })
            .await?;
        self.is_loaded.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn apply(&self, entry: Entry<Event>, is_new: bool) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Only now: who listens from here on finds it in the state.
        let is_news =
            self.announcer.is_heard() && (is_new || timestamp::is_within(&entry.created, JUST_NOW));
        let draft = is_news.then(|| Draft::of(&entry));
        let before = state.position;
        if let Err(missing) = state.apply(entry) {
            tracing::error!(owner = %self.owner, missing, "an entry of the log was passed over");
        }
        let position = state.position;
        // Two may have read the same entry.
        if let Some(draft) = draft.filter(|_| position > before) {
            for news in draft.finish(&self.owner, &state) {
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

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Whether it is for the caller to ask the store from now on.
    pub(super) fn begin_polling(&self) -> bool {
        let mut is_polled = self
            .is_polled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *is_polled, true)
    }

    /// Whether nobody waits any more.
    pub(super) fn end_polling(&self) -> bool {
        let mut is_polled = self
            .is_polled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Who subscribes from here on finds that nobody asks.
        *is_polled = self.changed.receiver_count() > 0;
        !*is_polled
    }

    /// Does what `decide` says of the newest state, as one entry. It is asked again whenever somebody
    /// else was quicker, and a refusal counts only if the state was up to date.
    pub(crate) async fn commit<T>(
        &self,
        storage: &Storage,
        by: &str,
        mut decide: impl FnMut(&AppState) -> Result<Decision<T>, Failure>,
    ) -> Result<T, Failure> {
        let _writing = self.writing.lock().await;
        let began = Instant::now();
        let mut is_fresh = false;
        let mut lost: u32 = 0;
        loop {
            let (decision, position) = self.read(|state| (decide(state), state.position));
            let (events, outcome) = match decision {
                Ok(Decision::Append(events, outcome)) => (events, outcome),
                Ok(Decision::Settled(outcome)) if is_fresh => {
                    self.settle(storage, position).await?;
                    return Ok(outcome);
                }
                Err(refusal) if is_fresh => return Err(refusal),
                _ => {
                    self.refresh(storage, Instant::now()).await?;
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
            if storage.append(&self.owner, &entry).await? == Created::Now {
                let number = entry.number;
                self.apply(entry, true);
                if number.is_multiple_of(SEGMENT) {
                    storage.write_segment_soon(&self.owner, number / SEGMENT - 1);
                }
                self.enlist(storage).await?;
                return Ok(outcome);
            }
            lost += 1;
            if began.elapsed() > PATIENCE {
                return Err(contended());
            }
            tokio::time::sleep(pause(lost)).await;
            self.refresh(storage, Instant::now()).await?;
            is_fresh = true;
        }
    }

    /// Makes sure that what is in memory is durable: something else is about to rest on it.
    pub(crate) async fn make_durable(&self, storage: &Storage) -> Result<(), StorageError> {
        let position = self.read(|state| state.position);
        self.settle(storage, position).await
    }

    /// What is there already is acknowledged only once it is durable, and listed.
    async fn settle(&self, storage: &Storage, position: u64) -> Result<(), StorageError> {
        if position == 0 {
            return Ok(());
        }
        storage.settle(&keys::entry(&self.owner, position)).await?;
        self.enlist(storage).await
    }

    async fn enlist(&self, storage: &Storage) -> Result<(), StorageError> {
        let Owner::App(app) = &self.owner else {
            return Ok(());
        };
        if self.enlisted.load(Ordering::Relaxed) {
            return Ok(());
        }
        storage.enlist(app).await?;
        self.enlisted.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Others write, too: after the first loss, not at once and not all at the same time.
fn pause(lost: u32) -> Duration {
    let most = u64::from(5 * lost.saturating_sub(1)).min(100);
    // The last bits of every version are random.
    let random = Uuid::now_v7().as_u128() % u128::from(most + 1);
    Duration::from_millis(u64::try_from(random).unwrap_or(most))
}

fn contended() -> Failure {
    Failure::new(
        http::StatusCode::SERVICE_UNAVAILABLE,
        "too many others wrote at the same time: nothing was changed; try again",
    )
}
