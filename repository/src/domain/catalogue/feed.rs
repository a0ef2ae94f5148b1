//! A feed of the news of one app or of all apps, including what other servers write.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use repository_api::AppName;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::changes::{Changes, INTERVAL, MAX_RATE};
use super::log::RECENT;
use super::news::{Draft, News};
use super::{AppLog, Catalogue};
use crate::domain::error::Error;
use crate::domain::event::AppEvent;
use crate::domain::state::LogState;
use crate::domain::state::app::AppState;
use crate::storage::StorageError;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;

/// Maximum entries that are sent again to a follower that reconnects.
const MAX_REPLAY: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Feed {
    app: Option<Followed>,
    /// News to send first, to a follower that reconnects.
    earlier: VecDeque<Arc<News>>,
    has_missed: bool,
    news: Receiver<Arc<News>>,
    /// Keeps the store polled while the feed exists.
    _polling: Polling,
}

#[derive(Debug)]
struct Followed {
    name: AppName,
    /// The number of the last entry that was sent.
    last: u64,
    /// The same for the default layer.
    last_default: u64,
}

#[derive(Debug)]
enum Polling {
    One { _changes: Changes },
    All { _round: Arc<Round> },
}

#[derive(Debug)]
pub(crate) enum Next {
    News(Arc<News>),
    /// The follower missed news and must read everything again.
    Missed,
}

impl Feed {
    /// News of one app after entry `since`, or from now on.
    pub(crate) async fn of_app(
        catalogue: &Catalogue,
        name: &AppName,
        since: Option<u64>,
    ) -> Result<Self, Error> {
        // Subscribes before it reads the logs, so that it misses no event.
        let news = catalogue.announcer.listen();
        let app = catalogue.known(name).await?;
        let default = catalogue.default_layer().await?;
        let now = app.read(LogState::position);
        // A number beyond the last entry belongs to another history.
        let is_foreign = since.is_some_and(|since| since > now);
        let since = since.unwrap_or(now).min(now);
        let has_missed = is_foreign || now - since > MAX_REPLAY;
        let earlier = if since == now || has_missed {
            VecDeque::new()
        } else {
            news_between(&app, since, now).await?
        };
        Ok(Self {
            app: Some(Followed {
                name: name.clone(),
                last: now,
                last_default: default.read(LogState::position),
            }),
            earlier,
            has_missed,
            news,
            _polling: Polling::One {
                _changes: catalogue.changes(Some(name)),
            },
        })
    }

    /// News of all apps from now on. Each app numbers its own entries, so a follower that reconnects cannot say where
    /// to resume.
    pub(crate) fn of_all(catalogue: &Arc<Catalogue>, reconnects: bool) -> Self {
        Self {
            app: None,
            earlier: VecDeque::new(),
            has_missed: reconnects,
            news: catalogue.announcer.listen(),
            _polling: Polling::All {
                _round: Round::join(catalogue),
            },
        }
    }

    /// Whether the number of an event says where to resume.
    pub(crate) fn has_ids(&self) -> bool {
        self.app.is_some()
    }

    pub(crate) async fn next(&mut self) -> Next {
        if std::mem::take(&mut self.has_missed) {
            return Next::Missed;
        }
        if let Some(news) = self.earlier.pop_front() {
            return Next::News(news);
        }
        loop {
            match self.news.recv().await {
                Ok(news) if self.covers(&news) => return Next::News(news),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Next::Missed,
                // The catalogue holds the sender.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn covers(&self, news: &News) -> bool {
        match (&self.app, &news.owner) {
            (None, _) => true,
            (Some(followed), Owner::DefaultLayer) => news.number > followed.last_default,
            (Some(followed), Owner::App(app)) => {
                followed.name == *app && news.number > followed.last
            }
            (Some(_), Owner::Tokens) => false,
        }
    }
}

async fn news_between(
    app: &AppLog,
    since: u64,
    now: u64,
) -> Result<VecDeque<Arc<News>>, StorageError> {
    let mut drafts = Vec::new();
    let take = |entry: Entry<AppEvent>| {
        if (since + 1..=now).contains(&entry.number) {
            drafts.push(Draft::of::<AppState>(&entry));
        }
    };
    app.storage().read_log(&app.owner, since, take).await?;
    let finish = |draft: Draft| app.read(|state| draft.finish(&app.owner, state));
    Ok(drafts.into_iter().flat_map(finish).collect())
}

/// Polls every app in turn while a follower of all apps exists.
#[derive(Debug)]
pub(super) struct Round;

impl Round {
    fn join(catalogue: &Arc<Catalogue>) -> Arc<Self> {
        let mut round = catalogue.round();
        if let Some(running) = round.upgrade() {
            return running;
        }
        let new = Arc::new(Self);
        *round = Arc::downgrade(&new);
        tokio::spawn(run(Arc::clone(catalogue), Arc::downgrade(&new)));
        new
    }
}

async fn run(catalogue: Arc<Catalogue>, round: Weak<Round>) {
    let mut is_first = true;
    while round.strong_count() > 0 {
        let began = Instant::now();
        if let Err(error) = poll_all(&catalogue, &round, is_first).await {
            tracing::warn!(error = %error.chain(), "failed to poll the apps: followers get events late");
        }
        // In a long first round, entries that were written before an app's turn look old and are not sent.
        if is_first && began.elapsed() > RECENT {
            catalogue.announcer.announce(News::missed());
        }
        is_first = false;
        tokio::time::sleep(INTERVAL.saturating_sub(began.elapsed())).await;
    }
}

async fn poll_all(
    catalogue: &Catalogue,
    round: &Weak<Round>,
    is_first: bool,
) -> Result<(), StorageError> {
    const PAUSE: Duration = Duration::from_millis(1000 / MAX_RATE as u64);
    catalogue.default_layer().await?;
    for name in catalogue.names_after(None, usize::MAX).await? {
        if round.strong_count() == 0 {
            break;
        }
        let is_known = catalogue.in_memory(&name).is_some();
        catalogue.app(&name).await?;
        if !is_known && !is_first {
            // Another server created the app, possibly some time ago.
            catalogue.announcer.announce(News::missed());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
