//! What happens to apps, for those who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::app::App;
use crate::storage::Storage;

/// Between two questions whether another server wrote something.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Questions a second at the most: with more apps that somebody waits for, each is asked about less often.
pub(super) const MAX_RATE: u32 = 100;

/// How many apps somebody waits for.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

/// What happens to an app, and to the layer under every app.
#[derive(Debug)]
pub(crate) struct Changes {
    logs: Vec<watch::Receiver<u64>>,
}

impl Changes {
    pub(super) fn of(logs: impl IntoIterator<Item = Arc<App>>, storage: &Storage) -> Self {
        let logs = logs.into_iter().map(|app| {
            let receiver = app.watch();
            if app.begin_polling() {
                tokio::spawn(poll(app, storage.clone()));
            }
            receiver
        });
        Self {
            logs: logs.collect(),
        }
    }

    /// What happened until now is known.
    pub(crate) fn look(&mut self) {
        for log in &mut self.logs {
            log.mark_unchanged();
        }
    }

    /// Until something happens that was not yet looked at.
    pub(crate) async fn next(&mut self) {
        let changes = self.logs.iter_mut().map(|log| Box::pin(log.changed()));
        let (changed, _, _) = futures_util::future::select_all(changes).await;
        if changed.is_err() {
            // Nobody writes to a log that nobody has; the deadline ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

/// Asks the store for as long as somebody waits.
async fn poll(app: Arc<App>, storage: Storage) {
    WATCHED.fetch_add(1, Ordering::Relaxed);
    loop {
        let watched = u32::try_from(WATCHED.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        tokio::time::sleep(INTERVAL.max(INTERVAL * watched / MAX_RATE)).await;
        if app.end_polling() {
            break;
        }
        if let Err(error) = app.refresh(&storage, Instant::now()).await {
            tracing::warn!(error = %error.chain(), owner = %app.owner, "those who wait for changes may be told late");
        }
    }
    WATCHED.fetch_sub(1, Ordering::Relaxed);
}
