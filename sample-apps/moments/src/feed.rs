//! Keeps the hub in sync with the log in Redis while the app runs:
//!
//! 1. Connect and subscribe to the channel. From here on, no event is missed.
//! 2. Restore the events that Redis has lost.
//! 3. Read the stream.
//! 4. Pass on the events of the channel, and regularly check that the channel is complete.
//!
//! After any failure, wait for a back-off and start over.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::{Client, RedisError};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::backoff::{Backoff, random};
use crate::hub::Hub;
use crate::log::{self, CHANNEL, RedisLog, TIMEOUT};
use crate::services::{Service, Services, reason};

/// Interval between two checks that Redis answers and that the channel delivers every event.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The log for appending; `None` while Redis is unreachable.
pub(crate) type Writer = watch::Receiver<Option<RedisLog>>;

/// Starts the task that follows the log.
pub(crate) fn start(client: Client, hub: Arc<Hub>, services: Arc<Services>) -> Writer {
    let (sender, writer) = watch::channel(None);
    tokio::spawn(async move {
        let mut backoff = Backoff::new(random);
        loop {
            let result = follow(&client, &hub, |log| {
                backoff.reset();
                sender.send_replace(Some(log));
                services.set(Service::Redis, None);
            });
            let error = match result.await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            sender.send_replace(None);
            services.set(Service::Redis, Some(reason(&error)));
            sleep(backoff.next()).await;
        }
    });
    writer
}

async fn follow(
    client: &Client,
    hub: &Hub,
    on_ready: impl FnOnce(RedisLog),
) -> Result<std::convert::Infallible, RedisError> {
    let log = RedisLog::connect(client).await?;
    let mut channel = within(client.get_async_pubsub()).await?;
    within(channel.subscribe(CHANNEL)).await?;
    let known_events: Vec<_> = hub.log().events().cloned().collect();
    if !known_events.is_empty() {
        let restored = log.restore(&known_events).await?;
        if restored > 0 {
            tracing::warn!(events = restored, "redis had lost its log: restored it");
        }
    }
    let mut seen = log.last().await?;
    hub.replace(log.read().await?);
    on_ready(log.clone());

    let mut messages = channel.on_message();
    let mut checks = interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut newest = seen;
    loop {
        tokio::select! {
            message = messages.next() => {
                let message = message.ok_or_else(|| failed("the channel ended"))?;
                let text: String = message.get_payload()?;
                if let Some((id, event)) = log::parse_message(&text) {
                    seen = seen.max(id);
                    if let Some(event) = event {
                        hub.add(event);
                    }
                }
            }
            _ = checks.tick() => {
                if seen < newest {
                    return Err(failed("the channel missed an event"));
                }
                newest = log.last().await?;
            }
        }
    }
}

async fn within<T>(attempt: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    timeout(TIMEOUT, attempt)
        .await
        .unwrap_or_else(|_| Err(failed("timed out")))
}

fn failed(what: &'static str) -> RedisError {
    std::io::Error::other(what).into()
}
