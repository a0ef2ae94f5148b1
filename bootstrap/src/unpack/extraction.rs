//! What an archive's entries become, in the archive's order where that matters: a link needs its
//! target, and of two entries of one name the later stays.

use std::collections::HashMap;
use std::io::{self, BufRead, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::UnpackError;
use super::beneath::{Beneath, LinkError, NewFile, create};
use super::blocks::Blocks;
use super::writers::{SMALL, Writers, Written};
use crate::tree::{Entry, Inventory};

#[derive(Debug)]
pub(super) struct Extraction {
    beneath: Beneath,
    writers: Writers,
    /// The paths of files and links so far, and after which settling each was made; as bytes, because
    /// hashing them by component is slow.
    seen: HashMap<Vec<u8>, u64>,
    settled: u64,
    /// Whether a path came twice.
    repeated: bool,
    /// Directories' modes come last, because one without the right to write could not be filled.
    modes: HashMap<PathBuf, u32>,
    /// What was made here, and not by the writers.
    made: Vec<Written>,
}

impl Extraction {
    pub(super) fn new(beneath: Beneath) -> Self {
        Self {
            writers: Writers::start(beneath.rules()),
            beneath,
            seen: HashMap::new(),
            settled: 0,
            repeated: false,
            modes: HashMap::new(),
            made: Vec::new(),
        }
    }

    /// Directories that were made and that no entry named.
    pub(super) fn implied(&self) -> u64 {
        self.beneath.made()
    }

    pub(super) fn directory(&mut self, path: PathBuf, mode: u32) -> Result<(), UnpackError> {
        self.refuse_through_a_file(Some(&path))?;
        self.beneath.directory(&path)?;
        // Its owner must be able to remove it again.
        self.modes.insert(path, mode | 0o700);
        Ok(())
    }

    /// No path leads through a file or a link of the archive. Looked up here, because the writers may
    /// not have come to that file yet.
    fn refuse_through_a_file(&mut self, directory: Option<&Path>) -> Result<(), UnpackError> {
        let Some(directory) = directory.filter(|directory| !self.beneath.is_last(directory)) else {
            return Ok(());
        };
        if directory
            .ancestors()
            .any(|path| self.seen.contains_key(path.as_os_str().as_bytes()))
        {
            return Err(UnpackError::refused(format!(
                "{:?} leads through something that is no directory",
                directory.display().to_string()
            )));
        }
        Ok(())
    }

    /// An earlier entry of the same name gives way.
    fn claim(&mut self, path: &Path) -> Result<(), UnpackError> {
        self.refuse_through_a_file(path.parent())?;
        let earlier = self.seen(path);
        if let Some(made) = earlier {
            if made == self.settled {
                self.settle()?;
                self.seen(path);
            }
            self.beneath.make_room(path)?;
        }
        Ok(())
    }

    /// Notes a path; returns after which settling it was made before, if it was.
    fn seen(&mut self, path: &Path) -> Option<u64> {
        let earlier = self
            .seen
            .insert(path.as_os_str().as_bytes().to_vec(), self.settled);
        self.repeated |= earlier.is_some();
        earlier
    }

    fn settle(&mut self) -> Result<(), UnpackError> {
        self.settled += 1;
        self.writers.settle()
    }

    fn note(&mut self, number: u64, path: PathBuf, entry: Entry) {
        self.made.push(Written {
            number,
            path,
            entry,
        });
    }

    /// Makes a file, the `number`th entry.
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
        self.settle()?;
        let entry = self.beneath.hard_link(&path, target)?;
        self.seen(&path);
        self.note(number, path, entry);
        Ok(())
    }

    /// Waits for the writers, sets the directories' modes, and says what is there.
    pub(super) fn finish(mut self) -> Result<Inventory, UnpackError> {
        let mut all = self.writers.finish()?;
        for (path, mode) in self.modes {
            self.beneath.set_directory_mode(&path, mode)?;
        }
        all.append(&mut self.made);
        all.sort_unstable_by_key(|written| written.number);
        if self.repeated {
            keep_the_last(&mut all);
        }
        let entries = all.into_iter().map(|written| (written.path, written.entry));
        Ok(Inventory::of(entries, self.beneath.rules().readers))
    }
}

/// Of several entries of one path the last is there.
fn keep_the_last(all: &mut Vec<Written>) {
    let last: HashMap<PathBuf, u64> = all
        .iter()
        .map(|written| (written.path.clone(), written.number))
        .collect();
    all.retain(|written| last.get(&written.path) == Some(&written.number));
}
