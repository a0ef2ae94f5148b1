//! What the bytes go through while they arrive: hashed by one thread and, where that is wanted,
//! unpacked by others. A dropped intake leaves nothing behind.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use repository_api::Digest;

use crate::exit::{Exit, Failure};
use crate::tree::{LockedTrees, Staging};
use crate::unpack::{Contents, Rules, Unpacking};
use crate::verify::Hasher;

/// Chunks that wait for the hash at the most.
const CHUNKS: usize = 16;

/// An archive, on its way into a tree.
#[derive(Debug)]
pub(crate) struct Begun {
    // First, so that it has ended when the staging is removed.
    unpacking: Unpacking,
    staging: Staging,
}

impl Begun {
    fn start(locked: &LockedTrees<'_>, file: &str, rules: Rules) -> Result<Self, Failure> {
        let staging = locked.stage()?;
        let unpacking = Unpacking::start(file, staging.path(), rules)?;
        Ok(Self { unpacking, staging })
    }

    /// Waits until all is unpacked.
    pub(crate) fn finish(self) -> Result<(Staging, Contents), Failure> {
        let contents = self.unpacking.finish()?;
        Ok((self.staging, contents))
    }
}

#[derive(Debug)]
pub(super) struct Intake {
    bytes: u64,
    hash: SyncSender<Bytes>,
    hasher: JoinHandle<Digest>,
    begun: Option<Begun>,
    /// Whether the unpacking has ended early. Why, the digest decides first: a damaged download is
    /// fetched again, a refused archive is not.
    ended_early: bool,
}

impl Intake {
    /// Begins with nothing; with `unpack`, an archive of that name is unpacked on the way.
    pub(super) fn start(
        locked: &LockedTrees<'_>,
        unpack: Option<&str>,
        rules: Rules,
    ) -> Result<Self, Failure> {
        let (hash, chunks) = sync_channel::<Bytes>(CHUNKS);
        let hasher = std::thread::Builder::new()
            .name("hash".to_owned())
            .spawn(move || {
                let mut hasher = Hasher::default();
                for chunk in chunks {
                    hasher.update(&chunk);
                }
                hasher.finish()
            })
            .map_err(|error| {
                Failure::new(Exit::CannotWrite, "failed to start a thread").because(error)
            })?;
        let begun = unpack
            .map(|file| Begun::start(locked, file, rules))
            .transpose()?;
        Ok(Self {
            bytes: 0,
            hash,
            hasher,
            begun,
            ended_early: false,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len() as u64;
        if let (Some(begun), false) = (&self.begun, self.ended_early) {
            self.ended_early = !begun.unpacking.push(chunk.clone());
        }
        // The thread ends only when this sender does.
        let _ = self.hash.send(chunk);
    }

    /// The digest of all bytes, and what is being unpacked.
    pub(super) fn finish(self) -> (Digest, Option<Begun>) {
        drop(self.hash);
        let digest = self
            .hasher
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (digest, self.begun)
    }
}
