//! Points in time as the records hold them: RFC 3339, UTC, whole seconds.

use std::time::{Duration, SystemTime};

pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// So long from now.
pub(crate) fn after(time: Duration) -> String {
    humantime::format_rfc3339_seconds(SystemTime::now() + time).to_string()
}

/// Whether it is no longer ago than that.
pub(crate) fn is_within(timestamp: &str, age: Duration) -> bool {
    humantime::parse_rfc3339(timestamp)
        .is_ok_and(|then| then.elapsed().map_or(true, |elapsed| elapsed <= age))
}
