//! What happens from now on, to one app or to all, also by way of other servers.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use repository_api::AppName;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::app::{App, JUST_NOW};
use super::changes::{Changes, INTERVAL, MAX_RATE};
use super::news::{Draft, News};
use crate::Repository;
use crate::http::failure::Failure;
use crate::storage::StorageError;
use crate::storage::keys::Owner;

/// Entries that are told again to somebody who was away, at the most.
const MAX_AGAIN: u64 = 1000;

/// What somebody follows.
#[derive(Debug)]
pub(crate) struct Feed {
    app: Option<Followed>,
    /// What happened before, and is still to be told.
    earlier: VecDeque<Arc<News>>,
    has_missed: bool,
    news: Receiver<Arc<News>>,
    /// For as long as somebody follows, the store is asked.
    _asking: Asking,
}

#[derive(Debug)]
struct Followed {
    name: AppName,
    /// The number of the last entry that was told.
    last: u64,
    /// The same, of the layer under every app.
    last_default: u64,
}

#[derive(Debug)]
enum Asking {
    One { _changes: Changes },
    All { _round: Arc<Round> },
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    News(Arc<News>),
    /// More than can be told: look at it anew.
    Missed,
}

impl Feed {
    /// Of one app, from behind entry `since` on, or from now on.
    pub(crate) async fn of_app(
        repository: &Repository,
        name: &AppName,
        since: Option<u64>,
    ) -> Result<Self, Failure> {
        let catalogue = &repository.catalogue;
        // First of all, so that nothing is missed in between.
        let news = catalogue.announcer.listen();
        let app = catalogue.known(name).await?;
        let default = catalogue.default_layer().await?;
        let now = app.read(|state| state.position);
        // A number that is still to come is of another history.
        let is_strange = since.is_some_and(|since| since > now);
        let since = since.unwrap_or(now).min(now);
        let has_missed = is_strange || now - since > MAX_AGAIN;
        let earlier = if since == now || has_missed {
            VecDeque::new()
        } else {
            since_then(repository, &app, since, now).await?
        };
        Ok(Self {
            app: Some(Followed {
                name: name.clone(),
                last: now,
                last_default: default.read(|state| state.position),
            }),
            earlier,
            has_missed,
            news,
            _asking: Asking::One {
                _changes: catalogue.changes(&app.owner),
            },
        })
    }

    /// Of all apps, from now on. Whoever comes back cannot say from where: each app has numbers of its own.
    pub(crate) fn of_all(repository: &Arc<Repository>, comes_back: bool) -> Self {
        Self {
            app: None,
            earlier: VecDeque::new(),
            has_missed: comes_back,
            news: repository.catalogue.announcer.listen(),
            _asking: Asking::All {
                _round: Round::join(repository),
            },
        }
    }

    /// Whether a number says from where to go on.
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
                Ok(news) if self.is_meant(&news) => return Next::News(news),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Next::Missed,
                // The catalogue holds the other end.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn is_meant(&self, news: &News) -> bool {
        match (&self.app, &news.owner) {
            (None, _) => true,
            (Some(followed), Owner::Default) => news.number > followed.last_default,
            (Some(followed), Owner::App(app)) => {
                followed.name == *app && news.number > followed.last
            }
            (Some(_), Owner::Tokens) => false,
        }
    }
}

/// What entries behind `since` said, up to `now`.
async fn since_then(
    repository: &Repository,
    app: &App,
    since: u64,
    now: u64,
) -> Result<VecDeque<Arc<News>>, StorageError> {
    let mut drafts = Vec::new();
    repository
        .storage
        .read_log(&app.owner, since, |entry| {
            if (since + 1..=now).contains(&entry.number) {
                drafts.push(Draft::of(&entry));
            }
        })
        .await?;
    let finish = |draft: Draft| app.read(|state| draft.finish(&app.owner, state));
    Ok(drafts.into_iter().flat_map(finish).collect())
}

/// Asks for every app in turn, for as long as somebody follows them all.
#[derive(Debug)]
pub(crate) struct Round;

impl Round {
    fn join(repository: &Arc<Repository>) -> Arc<Self> {
        let mut round = repository.catalogue.round();
        if let Some(going) = round.upgrade() {
            return going;
        }
        let new = Arc::new(Self);
        *round = Arc::downgrade(&new);
        tokio::spawn(go(Arc::clone(repository), Arc::downgrade(&new)));
        new
    }
}

async fn go(repository: Arc<Repository>, round: Weak<Round>) {
    let mut is_first = true;
    while round.strong_count() > 0 {
        let began = Instant::now();
        if let Err(error) = ask(&repository, &round, is_first).await {
            tracing::warn!(error = %error.chain(), "those who follow what happens may be told late");
        }
        // What happened before an app's turn came was taken for old.
        if is_first && began.elapsed() > JUST_NOW {
            repository.catalogue.announcer.announce(News::missed());
        }
        is_first = false;
        tokio::time::sleep(INTERVAL.saturating_sub(began.elapsed())).await;
    }
}

async fn ask(
    repository: &Repository,
    round: &Weak<Round>,
    is_first: bool,
) -> Result<(), StorageError> {
    const PAUSE: Duration = Duration::from_millis(1000 / MAX_RATE as u64);
    repository.catalogue.default_layer().await?;
    for name in repository.catalogue.names_after(None, usize::MAX).await? {
        if round.strong_count() == 0 {
            break;
        }
        let is_met = repository.catalogue.in_memory(&name).is_some();
        repository.catalogue.app(&name).await?;
        if !is_met && !is_first {
            // Another server made it, and perhaps not just now.
            repository.catalogue.announcer.announce(News::missed());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
