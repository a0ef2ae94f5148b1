//! Paths that several modules share.

/// The stream of events.
pub(crate) const EVENTS: &str = "/events";

/// Whether a path is a console page. Its handler needs the identity of the user.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/apps/") || path.starts_with("/sign-")
}
