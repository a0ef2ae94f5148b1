//! Points in time as the records hold them: RFC 3339, UTC, whole seconds.

use std::time::SystemTime;

pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// So long from now.
pub(crate) fn after(time: std::time::Duration) -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now() + time).to_string()
}
