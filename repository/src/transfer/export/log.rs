//! A log in the tree: an entry per line, and a last line with their number and digest.

use serde::Serialize;

use super::ExportError;
use super::tree::{Tree, Unfinished};
use crate::domain::state::LogState;
use crate::storage::Storage;
use crate::storage::entry::Entry;
use crate::storage::keys::Owner;
use crate::transfer::log_end::LogEnd;

/// A log that moves to its path in the tree when every file that it references is there.
#[derive(Debug)]
pub(super) struct ExportedLog<S> {
    /// The state after the last entry.
    pub(super) state: S,
    path: String,
    file: Unfinished,
}

impl<S: LogState> ExportedLog<S> {
    /// Copies the current log.
    pub(super) async fn begin(
        storage: &Storage,
        tree: &Tree,
        owner: &Owner,
    ) -> Result<Self, ExportError> {
        let path = format!("/log/{owner}.jsonl");
        let mut earlier = tree.ids(&path)?.into_iter();
        let mut is_continued = true;
        let mut file = tree.begin()?;
        let mut written = Ok(());
        let mut state = S::default();
        let take = |entry: Entry<S::Event>| {
            is_continued &= earlier.next().is_none_or(|id| id == entry.id);
            if written.is_ok() {
                written = line(&entry).and_then(|line| file.write(&line));
            }
            let _ = state.apply(entry);
        };
        storage.read_log(owner, 0, take).await?;
        written?;
        if !is_continued || earlier.next().is_some() {
            file.abandon();
            return Err(ExportError::ForeignHistory {
                path: tree.path(&path),
            });
        }
        let (_, sha256) = file.sum();
        let end = LogEnd {
            entries: state.position(),
            sha256,
        };
        file.write(&line(&end)?)?;
        Ok(Self { state, path, file })
    }

    /// Makes the other files durable, then moves the log to its path.
    pub(super) fn finish(self, tree: &Tree) -> Result<(), ExportError> {
        tree.sync()?;
        tree.finish(self.file, &self.path)
    }

    pub(super) fn abandon(self) {
        self.file.abandon();
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, ExportError> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
