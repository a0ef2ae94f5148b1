//! Whether the store answers: asked by whoever asks `/readyz`, and not more often than once a second.

use std::time::{Duration, Instant};

use crate::storage::Storage;

/// How old an answer may be.
const LASTING: Duration = Duration::from_secs(1);

/// For one question to the store: an orchestrator does not wait much longer itself.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// Held while the store is asked.
    last: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(crate) async fn is_ready(&self, storage: &Storage) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_ready)) = *last
            && at.elapsed() < LASTING
        {
            return is_ready;
        }
        let is_ready = match tokio::time::timeout(PATIENCE, storage.answers()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(error = %error.chain(), "not ready: the store cannot be read");
                false
            }
            Err(_) => {
                tracing::error!("not ready: the store did not answer within {PATIENCE:?}");
                false
            }
        };
        *last = Some((Instant::now(), is_ready));
        is_ready
    }
}
