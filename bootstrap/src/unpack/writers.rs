//! Threads that write small files while the archive is read on: creating a file costs the kernel more
//! time than decompressing its content.
//!
//! Files travel in batches with reused buffers, so the number of batches bounds the memory. An entry that
//! depends on an earlier one (a link, a second entry of the same name) calls [`Writers::wait`] first.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::error::UnpackError;
use super::new_file::{NewFile, create};
use super::rules::Rules;
use crate::tree::Entry;

/// Approximate size of a batch's content, in bytes.
const BATCH_BYTES: usize = 256 << 10;
/// Maximum number of files in a batch.
const BATCH_FILES: usize = 64;
/// Maximum number of directories in a batch. Each is an open descriptor.
const BATCH_DIRECTORIES: usize = 8;
/// Maximum number of batches.
const BATCHES: usize = 8;

/// Maximum size of a file for the writers, in bytes.
pub(super) const SMALL: u64 = 64 << 10;

/// An extracted entry, and its index in the archive.
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
    /// The end of the file's content in the batch's.
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
    /// The number of batches.
    created: usize,
    /// The number of batches that are not written yet.
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
        // A panic ends the process, so a lock is never poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(guard: MutexGuard<'a, State>, condition: &Condvar) -> MutexGuard<'a, State> {
        condition
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
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
    /// Empties the batch, and keeps its buffers.
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
    /// Starts a thread for every two cores, up to four. The other core decompresses; with more threads,
    /// the file system's locks are the limit.
    pub(super) fn start(rules: Rules) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state().created = 1;
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

    /// Queues a file. `fill` appends the content to the buffer.
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
        if full { self.send_batch() } else { Ok(()) }
    }

    fn send_batch(&mut self) -> Result<(), UnpackError> {
        if self.threads.is_empty() {
            // No thread could be started.
            return self.write_in_this_thread();
        }
        let mut state = self.shared.state();
        let next = loop {
            if let Some((_, error)) = state.failure.take() {
                return Err(error);
            }
            if let Some(free) = state.free.pop() {
                break free;
            }
            if state.created < BATCHES {
                state.created += 1;
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

    fn write_in_this_thread(&mut self) -> Result<(), UnpackError> {
        let (written, failure) = write(&mut self.batch, self.rules);
        self.batch.clear();
        self.shared.state().written.extend(written);
        failure.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Waits until all queued files are written.
    pub(super) fn wait(&mut self) -> Result<(), UnpackError> {
        if !self.batch.jobs.is_empty() {
            self.send_batch()?;
        }
        let mut state = self.shared.state();
        while state.unfinished > 0 {
            state = Shared::wait(state, &self.shared.done);
        }
        state.failure.take().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Waits, and returns everything that was written.
    pub(super) fn finish(mut self) -> Result<Vec<Written>, UnpackError> {
        self.wait()?;
        Ok(std::mem::take(&mut self.shared.state().written))
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A panic has ended the process.
            let _ = thread.join();
        }
    }
}
