//! Keeps the hub at what the log in Redis says, for as long as the app runs:
//!
//! 1. connect, and follow the channel: from here on nothing is missed
//! 2. put back what Redis has lost
//! 3. read the stream
//! 4. pass on what the channel tells; now and then ask for the newest entry
//!
//! Whatever fails, everything begins again after a back-off.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::{Client, RedisError};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::backoff::{Backoff, random};
use crate::hub::Hub;
use crate::log::{self, CHANNEL, PATIENCE, RedisLog};
use crate::services::{Service, Services, reason};

/// Between two questions whether Redis is there, and whether the channel still tells all.
const TICK: Duration = Duration::from_secs(2);

/// The log for writing, while there is a connection.
pub(crate) type Writer = watch::Receiver<Option<RedisLog>>;

/// Starts to follow, and returns what writes.
pub(crate) fn start(client: Client, hub: Arc<Hub>, services: Arc<Services>) -> Writer {
    let (sender, writer) = watch::channel(None);
    tokio::spawn(async move {
        let mut backoff = Backoff::new(random);
        loop {
            let followed = follow(&client, &hub, |log| {
                backoff.reset();
                sender.send_replace(Some(log));
                services.set(Service::Redis, None);
            });
            let error = match followed.await {
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
    ready: impl FnOnce(RedisLog),
) -> Result<std::convert::Infallible, RedisError> {
    let log = RedisLog::connect(client).await?;
    let mut channel = within(client.get_async_pubsub()).await?;
    within(channel.subscribe(CHANNEL)).await?;
    let known: Vec<_> = hub.log().events().cloned().collect();
    if !known.is_empty() {
        let restored = log.restore(&known).await?;
        if restored > 0 {
            tracing::warn!(events = restored, "redis had lost its log: it has it again");
        }
    }
    let mut seen = log.last().await?;
    hub.replace(log.read().await?);
    ready(log.clone());

    let mut messages = channel.on_message();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut newest = seen;
    loop {
        tokio::select! {
            message = messages.next() => {
                let message = message.ok_or_else(|| failed("the channel ended"))?;
                let text: String = message.get_payload()?;
                if let Some((id, event)) = log::told(&text) {
                    seen = seen.max(id);
                    if let Some(event) = event {
                        hub.add(event);
                    }
                }
            }
            _ = ticks.tick() => {
                if seen < newest {
                    return Err(failed("the channel is silent"));
                }
                newest = log.last().await?;
            }
        }
    }
}

async fn within<T>(attempt: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    timeout(PATIENCE, attempt)
        .await
        .unwrap_or_else(|_| Err(failed("timed out")))
}

fn failed(what: &'static str) -> RedisError {
    std::io::Error::other(what).into()
}
