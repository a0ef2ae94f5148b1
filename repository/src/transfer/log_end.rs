//! The last line of an exported log, which shows that the log is complete.

use repository_api::Digest;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogEnd {
    pub(super) entries: u64,
    /// The digest of the lines of all entries.
    pub(super) sha256: Digest,
}
