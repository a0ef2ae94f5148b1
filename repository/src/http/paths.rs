//! Paths that more than one part of the server must know.

/// The stream of events.
pub(crate) const EVENTS: &str = "/events";

/// Whether a path is a page of the console, whose handler needs to know who asks.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/apps/") || path.starts_with("/sign-")
}
