//! Whether a file is another one than before: what its owner replaces is taken up without a restart.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Between two looks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// When it was last written, and its size; `None` if it cannot be looked at.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

pub(crate) fn of(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}
