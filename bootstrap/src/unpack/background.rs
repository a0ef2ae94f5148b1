//! Unpacking while the archive arrives.

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use bytes::Bytes;

use super::archive::unpack;
use super::contents::Contents;
use super::feed;
use super::rules::Rules;
use crate::exit::{Exit, Failure};

/// A thread that unpacks an archive while it arrives.
#[derive(Debug)]
pub(crate) struct Unpacking {
    chunks: Option<SyncSender<Bytes>>,
    thread: Option<JoinHandle<Result<Contents, Failure>>>,
}

impl Unpacking {
    /// Starts to unpack the archive `file` into the empty directory `tree`.
    pub(crate) fn start(file: &str, tree: &Path, rules: Rules) -> Result<Self, Failure> {
        let (chunks, feed) = feed::feed();
        let (file, tree) = (file.to_owned(), tree.to_owned());
        let thread = std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn(move || unpack(feed, &file, &tree, rules))
            .map_err(|error| {
                Failure::new(Exit::CannotWrite, "failed to start a thread").because(error)
            })?;
        Ok(Self {
            chunks: Some(chunks),
            thread: Some(thread),
        })
    }

    /// Hands over the next bytes. Returns false if the thread has ended: [`Unpacking::finish`] has the
    /// reason.
    pub(crate) fn push(&self, chunk: Bytes) -> bool {
        self.chunks
            .as_ref()
            .is_some_and(|chunks| chunks.send(chunk).is_ok())
    }

    /// Marks the end of the archive, and waits until it is unpacked.
    pub(crate) fn finish(mut self) -> Result<Contents, Failure> {
        self.end().unwrap_or_else(|| {
            Err(Failure::new(
                Exit::CannotWrite,
                "unpacking has ended already",
            ))
        })
    }

    fn end(&mut self) -> Option<Result<Contents, Failure>> {
        self.chunks = None;
        let outcome = self.thread.take()?.join();
        Some(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// Waits for the thread, so that nothing writes to the tree afterwards.
impl Drop for Unpacking {
    fn drop(&mut self) {
        self.end();
    }
}
