//! Notifications of new entries in logs, including entries that other servers write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::log::Log;
use super::news::Announced;

/// How often the store is polled for entries of other servers.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum polls per second. With more watched logs, each is polled less often.
pub(super) const MAX_RATE: u32 = 100;

/// Number of logs being polled.
static POLLED: AtomicUsize = AtomicUsize::new(0);

/// New entries in the logs of an app and of the default layer.
#[derive(Debug)]
pub(crate) struct Changes {
    logs: Vec<watch::Receiver<u64>>,
}

impl Changes {
    pub(super) fn new(logs: Vec<watch::Receiver<u64>>) -> Self {
        Self { logs }
    }

    /// Marks all entries until now as seen.
    pub(crate) fn mark_seen(&mut self) {
        for log in &mut self.logs {
            log.mark_unchanged();
        }
    }

    /// Waits for an unseen entry.
    pub(crate) async fn next(&mut self) {
        let changes = self.logs.iter_mut().map(|log| Box::pin(log.changed()));
        let (changed, _, _) = futures_util::future::select_all(changes).await;
        if changed.is_err() {
            // The log is gone, so no entry will follow. The caller's deadline ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

/// Polls the log while a receiver exists.
pub(super) fn watch<S: Announced>(log: Arc<Log<S>>) -> watch::Receiver<u64> {
    let receiver = log.subscribe();
    if log.begin_polling() {
        tokio::spawn(poll(log));
    }
    receiver
}

async fn poll<S: Announced>(log: Arc<Log<S>>) {
    POLLED.fetch_add(1, Ordering::Relaxed);
    loop {
        let polled = u32::try_from(POLLED.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        tokio::time::sleep(INTERVAL.max(INTERVAL * polled / MAX_RATE)).await;
        if log.end_polling() {
            break;
        }
        if let Err(error) = log.refresh(Instant::now()).await {
            tracing::warn!(error = %error.chain(), owner = %log.owner, "failed to poll a log: changes are reported late");
        }
    }
    POLLED.fetch_sub(1, Ordering::Relaxed);
}
