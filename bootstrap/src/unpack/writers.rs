//! Small files are written by threads of their own, while the archive is read on: creating a file
//! costs the kernel more time than inflating it costs us.
//!
//! Files travel in batches, whose buffers are used again: memory is bounded by their number. What
//! depends on an earlier entry (a link to it, a second entry of its name) waits for
//! [`Writers::settle`] first.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::beneath::{NewFile, create};
use super::{Rules, UnpackError};
use crate::tree::Entry;

/// Bytes of content in a batch, about.
const BATCH_BYTES: usize = 256 << 10;
/// Files in a batch at the most.
const BATCH_FILES: usize = 64;
/// Directories in a batch at the most: each is an open descriptor.
const BATCH_DIRECTORIES: usize = 8;
/// Batches at the most, being filled, waiting and being written.
const BATCHES: usize = 8;

/// A file of at most so many bytes goes to the writers.
pub(super) const SMALL: u64 = 64 << 10;

/// What was written, and as the how-manieth entry of the archive.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) entry: Entry,
}

#[derive(Debug)]
struct Job {
    number: u64,
    parent: Arc<OwnedFd>,
    path: PathBuf,
    mode: u32,
    mtime: Option<i64>,
    /// Where its content ends in the batch's.
    end: usize,
}

#[derive(Debug, Default)]
struct Batch {
    content: Vec<u8>,
    jobs: Vec<Job>,
    directories: usize,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Batch>,
    free: Vec<Batch>,
    /// Batches that exist.
    made: usize,
    /// Batches that are waiting or being written.
    unfinished: usize,
    closed: bool,
    written: Vec<Written>,
    /// The failure of the earliest entry.
    failure: Option<(u64, UnpackError)>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic ends the process, so nobody sees a poisoned lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(guard: MutexGuard<'a, State>, on: &Condvar) -> MutexGuard<'a, State> {
        on.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, rules: Rules) {
        let mut state = self.state();
        loop {
            let Some(mut batch) = state.ready.pop_front() else {
                if state.closed {
                    return;
                }
                state = Self::wait(state, &self.work);
                continue;
            };
            let failed = state.failure.is_some();
            drop(state);
            let (written, failure) = if failed {
                (Vec::new(), None)
            } else {
                write(&mut batch, rules)
            };
            batch.clear();
            state = self.state();
            state.written.extend(written);
            if let Some((number, error)) = failure
                && state
                    .failure
                    .as_ref()
                    .is_none_or(|(earlier, _)| number < *earlier)
            {
                state.failure = Some((number, error));
            }
            state.free.push(batch);
            state.unfinished -= 1;
            self.done.notify_one();
        }
    }
}

impl Batch {
    /// Its buffers stay.
    fn clear(&mut self) {
        self.content.clear();
        self.jobs.clear();
        self.directories = 0;
    }
}

fn write(batch: &mut Batch, rules: Rules) -> (Vec<Written>, Option<(u64, UnpackError)>) {
    let mut written = Vec::with_capacity(batch.jobs.len());
    let mut begin = 0;
    for job in batch.jobs.drain(..) {
        let new = NewFile {
            parent: &job.parent,
            path: &job.path,
            mode: job.mode,
            mtime: job.mtime,
            rules,
        };
        let content = &batch.content[begin..job.end];
        begin = job.end;
        match create(&new, |file: &mut File| {
            std::io::Write::write_all(file, content)
        }) {
            Ok(entry) => written.push(Written {
                number: job.number,
                path: job.path,
                entry,
            }),
            Err(error) => return (written, Some((job.number, error))),
        }
    }
    (written, None)
}

#[derive(Debug)]
pub(super) struct Writers {
    rules: Rules,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    batch: Batch,
}

impl Writers {
    /// Starts a thread for every two cores, up to four: the other core inflates, and beyond that the
    /// file system's own locks are the limit.
    pub(super) fn start(rules: Rules) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state().made = 1;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..(cores / 2).clamp(1, 4))
            .filter_map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name("writer".to_owned())
                    .spawn(move || shared.work(rules))
                    .ok()
            })
            .collect();
        Self {
            rules,
            shared,
            threads,
            batch: Batch::default(),
        }
    }

    /// Takes a file over. `fill` appends its content to the buffer that it is given.
    pub(super) fn push(
        &mut self,
        number: u64,
        parent: &Arc<OwnedFd>,
        path: &Path,
        mode: u32,
        mtime: Option<i64>,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        fill(&mut self.batch.content)?;
        let known = self
            .batch
            .jobs
            .last()
            .is_some_and(|job| Arc::ptr_eq(&job.parent, parent));
        self.batch.directories += usize::from(!known);
        self.batch.jobs.push(Job {
            number,
            parent: Arc::clone(parent),
            path: path.to_owned(),
            mode,
            mtime,
            end: self.batch.content.len(),
        });
        let full = self.batch.content.len() >= BATCH_BYTES
            || self.batch.jobs.len() >= BATCH_FILES
            || self.batch.directories >= BATCH_DIRECTORIES;
        if full { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), UnpackError> {
        if self.threads.is_empty() {
            // No thread could be started: then it is done here.
            return self.write_here();
        }
        let mut state = self.shared.state();
        let next = loop {
            if let Some((_, error)) = state.failure.take() {
                return Err(error);
            }
            if let Some(free) = state.free.pop() {
                break free;
            }
            if state.made < BATCHES {
                state.made += 1;
                break Batch::default();
            }
            state = Shared::wait(state, &self.shared.done);
        };
        state
            .ready
            .push_back(std::mem::replace(&mut self.batch, next));
        state.unfinished += 1;
        self.shared.work.notify_one();
        Ok(())
    }

    fn write_here(&mut self) -> Result<(), UnpackError> {
        let (written, failure) = write(&mut self.batch, self.rules);
        self.batch.clear();
        self.shared.state().written.extend(written);
        failure.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Waits until all that was taken over is written.
    pub(super) fn settle(&mut self) -> Result<(), UnpackError> {
        if !self.batch.jobs.is_empty() {
            self.send()?;
        }
        let mut state = self.shared.state();
        while state.unfinished > 0 {
            state = Shared::wait(state, &self.shared.done);
        }
        state.failure.take().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Everything that was written.
    pub(super) fn finish(mut self) -> Result<Vec<Written>, UnpackError> {
        self.settle()?;
        Ok(std::mem::take(&mut self.shared.state().written))
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A panic in one has ended the process.
            let _ = thread.join();
        }
    }
}
