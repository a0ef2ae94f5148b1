//! An exported log: an entry a line, and a last line that says how many there are, with their digest. It is
//! read twice, so that nothing is taken over of one that is not whole.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use repository_api::Digest;
use sha2::{Digest as _, Sha256};

use super::{ImportError, regular};
use crate::domain::catalogue::{AppState, Event};
use crate::storage::blob::Sum;
use crate::storage::entry::Entry;
use crate::transfer::export::End;

#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// What follows from all of it.
    pub(super) end: AppState,
}

/// Of an entry: two MiB at the most, for a config of one MiB whose every byte is escaped; and the rest of it.
const MAX_LINE: u64 = 16 << 20;

impl Log {
    pub(super) fn read(path: &Path) -> Result<Self, ImportError> {
        let mut end = AppState::default();
        let mut lines = Lines::open(path)?;
        while let Some(entry) = lines.next()? {
            let expected = end.position + 1;
            if entry.number != expected || end.apply(entry.clone()).is_err() {
                return Err(lines.refused(format!("entry {expected} is missing")));
            }
            refuse_damaged(path, &entry)?;
        }
        Ok(Self {
            path: path.to_owned(),
            end,
        })
    }

    pub(super) fn entries(&self) -> Result<Lines, ImportError> {
        Lines::open(&self.path)
    }
}

#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    entries: u64,
    sum: Sum,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, ImportError> {
        let file = regular(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(256 << 10, file),
            entries: 0,
            sum: Sum::default(),
        })
    }

    fn refused(&self, what: impl std::fmt::Display) -> ImportError {
        ImportError::Refused {
            path: self.path.clone(),
            reason: format!("{what}: it is cut, damaged, or put together by hand; export again"),
        }
    }

    fn line(&mut self) -> Result<String, ImportError> {
        let mut line = String::new();
        let mut file = std::io::Read::take(&mut self.file, MAX_LINE);
        match file.read_line(&mut line) {
            Ok(_) => Ok(line),
            Err(source) => Err(ImportError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// The next entry; `None` behind the last one, if all of it was as it should be.
    pub(super) fn next(&mut self) -> Result<Option<Entry<Event>>, ImportError> {
        let line = self.line()?;
        if let Ok(End { entries, sha256 }) = serde_json::from_str(&line) {
            let (_, found) = std::mem::take(&mut self.sum).end();
            if (entries, sha256) != (self.entries, found) || !self.line()?.is_empty() {
                return Err(self.refused("its last line is not that of these entries"));
            }
            return Ok(None);
        }
        if line.is_empty() {
            return Err(self.refused("it has no last line"));
        }
        self.entries += 1;
        self.sum.add(line.as_bytes());
        let entry = serde_json::from_str(&line);
        entry
            .map(Some)
            .map_err(|error| self.refused(format!("line {} is no entry ({error})", self.entries)))
    }
}

/// What says its own digest must have it.
fn refuse_damaged(path: &Path, entry: &Entry<Event>) -> Result<(), ImportError> {
    for event in &entry.events {
        if let Event::Configure {
            sha256, content, ..
        } = event
        {
            let found = Digest::new(Sha256::digest(content.as_bytes()).into());
            if found != *sha256 {
                return Err(ImportError::Damaged {
                    path: path.to_owned(),
                    expected: *sha256,
                    found,
                });
            }
        }
    }
    Ok(())
}
