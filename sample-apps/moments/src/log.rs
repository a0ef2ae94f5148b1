//! The log in Redis: a stream that holds what happened, and a channel that tells of it at once.
//!
//! Both are written by one script. So whoever follows the channel first and reads the stream then misses
//! nothing: what is not in the one yet will come by the other, in the same order.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

use crate::wall::{Event, Id, KEPT, What};

const STREAM: &str = "moments:log";
pub(crate) const CHANNEL: &str = "moments";

/// For a connection, and for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

const APPEND: &str = r"
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'event', ARGV[2])
redis.call('PUBLISH', ARGV[3], id .. ' ' .. ARGV[2])
return id";

/// Ids stay what they were: windows ask for what came after one of them. Who knows an event passes it over
/// when it is told again; who began while the log was lost does not know it.
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
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Self(connection))
    }

    pub(crate) async fn append(&self, what: &What) -> RedisResult<()> {
        redis::cmd("EVAL")
            .arg(APPEND)
            .arg(1)
            .arg(STREAM)
            .arg(KEPT)
            .arg(text(what))
            .arg(CHANNEL)
            .exec_async(&mut self.0.clone())
            .await
    }

    /// Puts back what a Redis without a disk has lost, unless another replica was sooner; how much it was.
    pub(crate) async fn restore(&self, events: &[Event]) -> RedisResult<usize> {
        let mut command = redis::cmd("EVAL");
        command.arg(RESTORE).arg(1).arg(STREAM).arg(CHANNEL);
        for event in events {
            command.arg(event.id.to_string()).arg(text(&event.what));
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

    /// The id of the newest entry.
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

/// What the channel tells: an id, and the event, if it is of a kind that this release knows.
pub(crate) fn told(message: &str) -> Option<(Id, Option<Event>)> {
    let (id, text) = message.split_once(' ')?;
    Some((id.parse().ok()?, event(id, text)))
}

fn event(id: &str, text: &str) -> Option<Event> {
    Some(Event {
        id: id.parse().ok()?,
        what: serde_json::from_str(text).ok()?,
    })
}

fn text(what: &What) -> String {
    serde_json::to_string(what).expect("texts only, which are JSON in any case")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_was_written() {
        let what = What::Comment {
            picture: "a.png".into(),
            name: "Ann Other".into(),
            text: "a \"line\"\nand another".into(),
        };
        let id = "12-3".parse().unwrap();
        let event = Event { id, what };
        let message = format!("12-3 {}", text(&event.what));
        assert_eq!(told(&message), Some((id, Some(event))));
        // Of a later release.
        let message = r#"12-3 {"kind":"other"}"#;
        assert_eq!(told(message), Some((id, None)));
        for nonsense in ["", "12-3", "x {}"] {
            assert_eq!(told(nonsense), None, "{nonsense}");
        }
    }
}
