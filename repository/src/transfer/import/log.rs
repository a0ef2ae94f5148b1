//! An exported log: an entry per line, and a last line with their number and digest. An import reads the log twice, so
//! that it imports nothing from an incomplete log.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use repository_api::Digest;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{ImportError, failed_to_read, refused, regular};
use crate::domain::state::LogState;
use crate::storage::blob::Sum;
use crate::storage::entry::Entry;
use crate::transfer::log_end::LogEnd;

#[derive(Debug)]
pub(super) struct Log<S> {
    path: PathBuf,
    /// The state after the last entry.
    pub(super) end: S,
}

/// Maximum bytes of a line: a config of 1 MiB with escapes, and the rest of its entry.
const MAX_LINE: u64 = 16 << 20;

impl<S: LogState> Log<S> {
    pub(super) fn read(path: &Path) -> Result<Self, ImportError> {
        let mut end = S::default();
        let mut lines = Lines::<S::Event>::open(path)?;
        while let Some(entry) = lines.next()? {
            let expected = end.position() + 1;
            if entry.number != expected || end.apply(entry.clone()).is_err() {
                return Err(lines.refused(format!("entry {expected} is missing")));
            }
            refuse_damaged::<S>(path, &entry)?;
        }
        Ok(Self {
            path: path.to_owned(),
            end,
        })
    }

    pub(super) fn entries(&self) -> Result<Lines<S::Event>, ImportError> {
        Lines::open(&self.path)
    }
}

#[derive(Debug)]
pub(super) struct Lines<E> {
    path: PathBuf,
    file: BufReader<File>,
    entries: u64,
    sum: Sum,
    event: PhantomData<E>,
}

impl<E: DeserializeOwned> Lines<E> {
    fn open(path: &Path) -> Result<Self, ImportError> {
        let file = regular(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(256 << 10, file),
            entries: 0,
            sum: Sum::default(),
            event: PhantomData,
        })
    }

    fn refused(&self, problem: impl std::fmt::Display) -> ImportError {
        let reason = format!("{problem}: the file is truncated, damaged or edited; export again");
        refused(&self.path, &reason)
    }

    fn line(&mut self) -> Result<String, ImportError> {
        let mut line = String::new();
        let mut file = std::io::Read::take(&mut self.file, MAX_LINE);
        file.read_line(&mut line)
            .map_err(failed_to_read(&self.path))?;
        Ok(line)
    }

    /// The next entry; `None` after the last one of a complete log.
    pub(super) fn next(&mut self) -> Result<Option<Entry<E>>, ImportError> {
        let line = self.line()?;
        if let Ok(LogEnd { entries, sha256 }) = serde_json::from_str(&line) {
            let (_, found) = std::mem::take(&mut self.sum).end();
            if (entries, sha256) != (self.entries, found) || !self.line()?.is_empty() {
                return Err(self.refused("its last line does not match its entries"));
            }
            return Ok(None);
        }
        if line.is_empty() {
            return Err(self.refused("it has no last line"));
        }
        self.entries += 1;
        self.sum.add(line.as_bytes());
        let entry = serde_json::from_str(&line);
        entry.map(Some).map_err(|error| {
            self.refused(format!("line {} is not an entry ({error})", self.entries))
        })
    }
}

/// Refuses an entry with a config that does not match its digest.
fn refuse_damaged<S: LogState>(path: &Path, entry: &Entry<S::Event>) -> Result<(), ImportError> {
    for event in &entry.events {
        if let Some((_, sha256, content)) = S::config(event) {
            let found = Digest::new(Sha256::digest(content.as_bytes()).into());
            if found != sha256 {
                return Err(ImportError::Damaged {
                    path: path.to_owned(),
                    expected: sha256,
                    found,
                });
            }
        }
    }
    Ok(())
}
