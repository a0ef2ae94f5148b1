//! The result of unpacking.

use std::time::Duration;

use repository_api::units::show_size;

use crate::tree::Inventory;

/// The content of a tree.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) inventory: Inventory,
    pub(super) entries: u64,
    /// Bytes in all files.
    pub(super) bytes: u64,
    /// Includes the download if the archive was unpacked while it arrived.
    pub(super) elapsed: Duration,
}

impl Contents {
    pub(crate) fn log(&self) {
        let Self { entries, bytes, .. } = *self;
        let elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let noun = if entries == 1 { "entry" } else { "entries" };
        tracing::info!(
            stage = "unpack",
            entries,
            bytes,
            elapsed_ms,
            "unpacked {entries} {noun}, {} in {elapsed_ms} ms",
            show_size(bytes)
        );
    }
}
