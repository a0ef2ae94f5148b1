//! Extracts entries, in the archive's order where it matters: a link needs its target, and of two entries
//! with the same name the later one stays.

use std::collections::HashMap;
use std::io::{self, BufRead, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::beneath::{Beneath, LinkError};
use super::blocks::Blocks;
use super::error::UnpackError;
use super::new_file::{NewFile, create};
use super::writers::{SMALL, Writers, Written};
use crate::tree::{Entry, Inventory};

#[derive(Debug)]
pub(super) struct Extraction {
    beneath: Beneath,
    writers: Writers,
    /// The paths of files and links so far, and the number of waits before each. Paths are bytes, because
    /// hashing by component is slow.
    seen: HashMap<Vec<u8>, u64>,
    /// How often the extraction has waited for the writers.
    waits: u64,
    /// Whether a path occurred twice.
    repeated: bool,
    /// The modes of directories. They are set last, because a read-only directory cannot be filled.
    modes: HashMap<PathBuf, u32>,
    /// Entries that this thread extracted.
    extracted: Vec<Written>,
}

impl Extraction {
    pub(super) fn new(beneath: Beneath) -> Self {
        Self {
            writers: Writers::start(beneath.rules()),
            beneath,
            seen: HashMap::new(),
            waits: 0,
            repeated: false,
            modes: HashMap::new(),
            extracted: Vec::new(),
        }
    }

    /// The number of directories that were created without an entry of their own.
    pub(super) fn implied(&self) -> u64 {
        self.beneath.implied()
    }

    pub(super) fn directory(&mut self, path: PathBuf, mode: u32) -> Result<(), UnpackError> {
        self.refuse_through_a_file(Some(&path))?;
        self.beneath.directory(&path)?;
        // The owner must be able to remove the directory.
        self.modes.insert(path, mode | 0o700);
        Ok(())
    }

    /// Refuses a path through a file or a link of the archive. The writers may not have created the file
    /// yet, so the file system cannot tell.
    fn refuse_through_a_file(&mut self, directory: Option<&Path>) -> Result<(), UnpackError> {
        let Some(directory) = directory.filter(|directory| !self.beneath.is_last(directory)) else {
            return Ok(());
        };
        if directory
            .ancestors()
            .any(|path| self.seen.contains_key(path.as_os_str().as_bytes()))
        {
            return Err(UnpackError::refused(format!(
                "{:?} leads through something that isn't a directory",
                directory.display().to_string()
            )));
        }
        Ok(())
    }

    /// Removes an earlier entry of the same name.
    fn claim(&mut self, path: &Path) -> Result<(), UnpackError> {
        self.refuse_through_a_file(path.parent())?;
        let earlier = self.note_path(path);
        if let Some(waits) = earlier {
            if waits == self.waits {
                self.wait()?;
                self.note_path(path);
            }
            self.beneath.remove_earlier(path)?;
        }
        Ok(())
    }

    /// Records the path of an entry. Returns the number of waits before an earlier entry of the same
    /// path, if there is one.
    fn note_path(&mut self, path: &Path) -> Option<u64> {
        let earlier = self
            .seen
            .insert(path.as_os_str().as_bytes().to_vec(), self.waits);
        self.repeated |= earlier.is_some();
        earlier
    }

    fn wait(&mut self) -> Result<(), UnpackError> {
        self.waits += 1;
        self.writers.wait()
    }

    fn note(&mut self, number: u64, path: PathBuf, entry: Entry) {
        self.extracted.push(Written {
            number,
            path,
            entry,
        });
    }

    /// Extracts a file, the `number`th entry.
    pub(super) fn file<R: BufRead>(
        &mut self,
        number: u64,
        path: PathBuf,
        (mode, mtime): (u32, Option<i64>),
        content: &mut Blocks<R>,
    ) -> Result<(), UnpackError> {
        self.claim(&path)?;
        let parent = self.beneath.parent(&path)?;
        let damaged = |source| UnpackError::Damaged {
            format: "archive",
            source,
        };
        if content.size() <= SMALL {
            return self
                .writers
                .push(number, &parent, &path, mode, mtime, |batch| {
                    content.append_content(batch).map_err(damaged)
                });
        }
        let new = NewFile {
            parent: &parent,
            path: &path,
            mode,
            mtime,
            rules: self.beneath.rules(),
        };
        let mut source = None;
        let entry = create(&new, |file| {
            while content.size() > 0 {
                let read = match content.fill_buf() {
                    Ok([]) => {
                        source = Some(io::ErrorKind::UnexpectedEof.into());
                        break;
                    }
                    Ok(available) => {
                        file.write_all(available)?;
                        available.len()
                    }
                    Err(error) => {
                        source = Some(error);
                        break;
                    }
                };
                content.consume(read);
            }
            Ok(())
        })?;
        if let Some(source) = source {
            return Err(damaged(source));
        }
        self.note(number, path, entry);
        Ok(())
    }

    pub(super) fn symlink(
        &mut self,
        number: u64,
        path: PathBuf,
        target: &[u8],
    ) -> Result<(), LinkError> {
        self.claim(&path)?;
        let entry = self.beneath.symlink(&path, target)?;
        self.note(number, path, entry);
        Ok(())
    }

    pub(super) fn hard_link(
        &mut self,
        number: u64,
        path: PathBuf,
        target: &Path,
    ) -> Result<(), LinkError> {
        self.refuse_through_a_file(path.parent())?;
        self.wait()?;
        let entry = self.beneath.hard_link(&path, target)?;
        self.note_path(&path);
        self.note(number, path, entry);
        Ok(())
    }

    /// Waits for the writers, sets the directories' modes, and returns the inventory.
    pub(super) fn finish(mut self) -> Result<Inventory, UnpackError> {
        let mut all = self.writers.finish()?;
        for (path, mode) in self.modes {
            self.beneath.set_directory_mode(&path, mode)?;
        }
        all.append(&mut self.extracted);
        all.sort_unstable_by_key(|written| written.number);
        if self.repeated {
            keep_the_last(&mut all);
        }
        let entries = all.into_iter().map(|written| (written.path, written.entry));
        Ok(Inventory::of(entries, self.beneath.rules().readers))
    }
}

/// Removes all but the last entry of each path.
fn keep_the_last(all: &mut Vec<Written>) {
    let last: HashMap<PathBuf, u64> = all
        .iter()
        .map(|written| (written.path.clone(), written.number))
        .collect();
    all.retain(|written| last.get(&written.path) == Some(&written.number));
}
