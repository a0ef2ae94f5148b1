//! The intake of bytes while they arrive: a thread hashes them and, if wanted, others unpack them. A
//! dropped intake leaves nothing behind.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use repository_api::Digest;

use crate::exit::{Exit, Failure};
use crate::tree::{LockedTrees, Staging};
use crate::unpack::{Contents, Rules, Unpacking};
use crate::verify::Hasher;

/// Maximum number of chunks that wait for the hash.
const CHUNKS: usize = 16;

/// An archive that is being unpacked.
#[derive(Debug)]
pub(crate) struct Unpacked {
    // Dropped first: the thread must end before the staging is removed.
    unpacking: Unpacking,
    staging: Staging,
}

impl Unpacked {
    fn start(locked: &LockedTrees<'_>, file: &str, rules: Rules) -> Result<Self, Failure> {
        let staging = locked.stage()?;
        let unpacking = Unpacking::start(file, staging.path(), rules)?;
        Ok(Self { unpacking, staging })
    }

    /// Waits for the end of the archive.
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
    unpacked: Option<Unpacked>,
    /// Whether unpacking has ended early. The digest tells the reason: a damaged download is fetched again,
    /// a refused archive is not.
    ended_early: bool,
}

impl Intake {
    /// Starts an intake; `unpack` is the name of an archive to unpack.
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
        let unpacked = unpack
            .map(|file| Unpacked::start(locked, file, rules))
            .transpose()?;
        Ok(Self {
            bytes: 0,
            hash,
            hasher,
            unpacked,
            ended_early: false,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len() as u64;
        if let (Some(unpacked), false) = (&self.unpacked, self.ended_early) {
            self.ended_early = !unpacked.unpacking.push(chunk.clone());
        }
        // The thread outlives this sender, so the call cannot fail.
        let _ = self.hash.send(chunk);
    }

    /// The digest of all bytes, and the unpacking archive.
    pub(super) fn finish(self) -> (Digest, Option<Unpacked>) {
        drop(self.hash);
        let digest = self
            .hasher
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (digest, self.unpacked)
    }
}
