//! Timestamps in records: RFC 3339, UTC, whole seconds.

use std::time::{Duration, SystemTime};

pub(crate) fn now() -> String {
    after(Duration::ZERO)
}

/// The time `duration` from now.
pub(crate) fn after(duration: Duration) -> String {
    humantime::format_rfc3339_seconds(SystemTime::now() + duration).to_string()
}

pub(crate) fn is_within(timestamp: &str, age: Duration) -> bool {
    humantime::parse_rfc3339(timestamp)
        .is_ok_and(|then| then.elapsed().map_or(true, |elapsed| elapsed <= age))
}
