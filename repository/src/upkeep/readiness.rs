//! Whether the store answers. `/readyz` probes it at most once a second.

use std::time::{Duration, Instant};

use crate::storage::Storage;

/// Maximum age of an answer.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Time-out of a probe. Orchestrators wait little longer.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Readiness {
    storage: Storage,
    /// Locked during a probe.
    last: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(crate) fn new(storage: Storage) -> Self {
        Self {
            storage,
            last: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_ready)) = *last
            && at.elapsed() < MAX_AGE
        {
            return is_ready;
        }
        let is_ready = match tokio::time::timeout(TIMEOUT, self.storage.probe()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(error = %error.chain(), "not ready: the store cannot be read");
                false
            }
            Err(_) => {
                tracing::error!("not ready: the store did not answer within {TIMEOUT:?}");
                false
            }
        };
        *last = Some((Instant::now(), is_ready));
        is_ready
    }
}
