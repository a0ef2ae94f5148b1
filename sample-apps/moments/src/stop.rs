//! Graceful shutdown on SIGTERM and SIGINT: no new connections, windows are closed, requests finish.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use crate::limits;

/// Less than the `GRACE_PERIOD` of bootstrap (8s), after which bootstrap kills this process.
const GRACE_PERIOD: Duration = Duration::from_secs(6);

#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn on_signal() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_replace(true);
            tracing::info!("stopping");
        });
        Ok(Self(receiver))
    }

    /// Completes when a signal has arrived.
    pub(crate) async fn requested(mut self) {
        // An error means that the sender is gone and no signal can arrive: stopping is safer than never stopping.
        let _ = self.0.wait_for(|requested| *requested).await;
    }

    /// Serves until a stop is requested, and then until the requests and windows end or the grace period is over.
    pub(crate) async fn within_grace(
        self,
        serving: impl IntoFuture<Output = io::Result<()>>,
        windows: Arc<Semaphore>,
    ) -> io::Result<()> {
        let serving = serving.into_future();
        let finished = async {
            serving.await?;
            // The server doesn't wait for connections that became WebSockets. Each holds a permit until it closes.
            let _ = windows.acquire_many(limits::WINDOWS).await;
            Ok(())
        };
        let out_of_time = async {
            self.requested().await;
            tokio::time::sleep(GRACE_PERIOD).await;
        };
        tokio::select! {
            result = finished => result,
            () = out_of_time => {
                tracing::warn!("the grace period is over: closing the open requests and windows");
                Ok(())
            }
        }
    }
}
