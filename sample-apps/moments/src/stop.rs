//! SIGTERM and SIGINT: no new connections, windows are told to come back, requests are finished.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::app::WINDOWS;

/// Shorter than the `GRACE_PERIOD` of bootstrap, which is 8s: after that this process would be killed.
const GRACE: Duration = Duration::from_secs(6);

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

    pub(crate) async fn asked(mut self) {
        // An error would mean that nobody can ask any more: then it is better to stop than never to.
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    /// Serves until it is asked to stop, and then for as long as what is under way takes, within bounds.
    pub(crate) async fn within_grace(
        self,
        serving: impl IntoFuture<Output = io::Result<()>>,
        windows: Arc<Semaphore>,
    ) -> io::Result<()> {
        let serving = serving.into_future();
        let all = async {
            serving.await?;
            // A WebSocket is no connection of the server's any more: each holds a permit until it is closed.
            let _ = windows.acquire_many(WINDOWS).await;
            Ok(())
        };
        let out_of_time = async {
            self.asked().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = all => result,
            () = out_of_time => {
                tracing::warn!("what is still under way is cut off");
                Ok(())
            }
        }
    }
}

/// Waits for something that may never come.
pub(crate) async fn at_most<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(time, future).await.ok()
}
