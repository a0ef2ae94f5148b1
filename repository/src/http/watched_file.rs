//! Change detection for files that an operator replaces while the server runs: certificate, key and admin token.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Interval between checks of a watched file.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Modification time and size; `None` if the file is missing or unreadable.
pub(crate) type Revision = Option<(SystemTime, u64)>;

pub(crate) fn revision(path: &Path) -> Revision {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}
