//! The log in Redis: a stream that holds the events, and a channel that announces them.
//!
//! One script writes both. A replica that first subscribes to the channel and then reads the stream therefore
//! misses no event: an event that isn't in the stream yet arrives on the channel, in the same order.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

use crate::limits;
use crate::wall::{Content, Event, Id};

const STREAM: &str = "moments:log";
pub(crate) const CHANNEL: &str = "moments";

/// Limit for a connection attempt and for a response.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

const APPEND: &str = r"
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'event', ARGV[2])
redis.call('PUBLISH', ARGV[3], id .. ' ' .. ARGV[2])
return id";

/// Keeps the ids, because windows ask for the events after an id. It also publishes each event: a replica that
/// knows the event ignores it, and a replica that started while the log was lost learns it.
const RESTORE: &str = r"
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 2, #ARGV, 2 do
  redis.call('XADD', KEYS[1], ARGV[i], 'event', ARGV[i + 1])
  redis.call('PUBLISH', ARGV[1], ARGV[i] .. ' ' .. ARGV[i + 1])
end
return (#ARGV - 1) / 2";

#[derive(Debug, Clone)]
pub(crate) struct RedisLog(MultiplexedConnection);

impl RedisLog {
    pub(crate) async fn connect(client: &Client) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Self(connection))
    }

    pub(crate) async fn append(&self, content: &Content) -> RedisResult<()> {
        redis::cmd("EVAL")
            .arg(APPEND)
            .arg(1)
            .arg(STREAM)
            .arg(limits::EVENTS)
            .arg(json(content))
            .arg(CHANNEL)
            .exec_async(&mut self.0.clone())
            .await
    }

    /// Restores the events that Redis, which has no disk, lost in a restart. Does nothing if another replica was
    /// faster. Returns the number of restored events.
    pub(crate) async fn restore(&self, events: &[Event]) -> RedisResult<usize> {
        let mut command = redis::cmd("EVAL");
        command.arg(RESTORE).arg(1).arg(STREAM).arg(CHANNEL);
        for event in events {
            command.arg(event.id.to_string()).arg(json(&event.content));
        }
        command.query_async(&mut self.0.clone()).await
    }

    pub(crate) async fn read(&self) -> RedisResult<Vec<Event>> {
        let entries: Vec<(String, Vec<String>)> = redis::cmd("XRANGE")
            .arg(STREAM)
            .arg("-")
            .arg("+")
            .query_async(&mut self.0.clone())
            .await?;
        let events = entries
            .iter()
            .filter_map(|(id, fields)| event(id, fields.get(1)?));
        Ok(events.collect())
    }

    /// Returns the id of the newest entry.
    pub(crate) async fn last(&self) -> RedisResult<Id> {
        let entries: Vec<(String, Vec<String>)> = redis::cmd("XREVRANGE")
            .arg(STREAM)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut self.0.clone())
            .await?;
        let id = entries.first().and_then(|(id, _)| id.parse().ok());
        Ok(id.unwrap_or_default())
    }
}

/// Parses a message of the channel: an id, and the event if this release knows its kind.
pub(crate) fn parse_message(message: &str) -> Option<(Id, Option<Event>)> {
    let (id, text) = message.split_once(' ')?;
    Some((id.parse().ok()?, event(id, text)))
}

fn event(id: &str, text: &str) -> Option<Event> {
    Some(Event {
        id: id.parse().ok()?,
        content: serde_json::from_str(text).ok()?,
    })
}

fn json(content: &Content) -> String {
    serde_json::to_string(content).expect("a struct of strings serializes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_round_trips() {
        let content = Content::Comment {
            picture: "a.png".into(),
            name: "Ann Other".into(),
            text: "a \"line\"\nand another".into(),
        };
        let id = "12-3".parse().unwrap();
        let event = Event { id, content };
        let message = format!("12-3 {}", json(&event.content));
        assert_eq!(parse_message(&message), Some((id, Some(event))));
        // An event of a later release.
        let message = r#"12-3 {"kind":"other"}"#;
        assert_eq!(parse_message(message), Some((id, None)));
        for nonsense in ["", "12-3", "x {}"] {
            assert_eq!(parse_message(nonsense), None, "{nonsense}");
        }
    }
}
