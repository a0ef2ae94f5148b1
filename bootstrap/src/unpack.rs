//! An artefact's bytes into a directory tree.
//!
//! 1. [`format`]: by the ending of its name: an archive, compressed or not, or a file to be placed
//! 2. [`feed`]: the bytes, while they arrive
//! 3. [`ahead`]: decompressed; [`stream`]: and counted against the cap
//! 4. [`blocks`]: header, content, padding; [`entries`]: what they say, against the allow-list
//! 5. [`extraction`]: in the archive's order, where that matters; [`writers`]: at once, where not
//! 6. [`beneath`]: files, directories and links, never outside of the tree and never through a link
//!    that the archive made
//!
//! No sync: a half-written tree is never renamed into place.

mod ahead;
mod beneath;
mod blocks;
mod entries;
mod extensions;
mod extraction;
mod feed;
mod format;
mod stream;
mod writers;

use std::fs::File;
use std::io::{BufRead, Seek as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, fchown};
use repository_api::units::show_size;

use crate::exit::{Exit, Failure};
use crate::settings::Limits;
use crate::tree::{Entry, Inventory};
use beneath::Beneath;
use format::Format;

const BUFFER: usize = 256 << 10;

/// How to unpack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// The app's group, where the tree is root's and the app may only read it.
    pub(crate) readers: Option<Gid>,
}

impl Rules {
    /// What the owner may do without writing, the readers may do.
    fn mode(self, mode: u32) -> u32 {
        match self.readers {
            None => mode,
            Some(_) => (mode & 0o755) | ((mode & 0o500) >> 3),
        }
    }

    /// The tree itself, whatever the umask and the archive say of it.
    pub(crate) fn open_to_readers(self, tree: &Path) -> Result<(), Failure> {
        if self.readers.is_none() {
            return Ok(());
        }
        let cannot = |error: nix::Error| Failure::cannot_write(tree, error);
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let root = open(tree, flags, Mode::empty()).map_err(cannot)?;
        let mode = fstat(&root).map_err(cannot)?.st_mode;
        self.hand_over(&root)
            .and_then(|()| fchmod(&root, Mode::from_bits_truncate(self.mode(mode & 0o777))))
            .map_err(cannot)
    }

    fn hand_over(self, file: impl AsFd) -> nix::Result<()> {
        match self.readers {
            None => Ok(()),
            group => fchown(file, None, group),
        }
    }
}

/// Why an archive is refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("{0}")]
    Refused(String),
    #[error("it cannot be read as {format}")]
    Damaged {
        format: &'static str,
        source: std::io::Error,
    },
    #[error("failed to write {path}")]
    Write {
        path: String,
        source: std::io::Error,
    },
}

impl UnpackError {
    fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    fn into_failure(self, file: &str, tree: &Path) -> Failure {
        match self {
            Self::Write { path, source } => Failure::cannot_write(&tree.join(path), source),
            error => Failure::new(Exit::Refused, format!("{file} is refused")).because(error),
        }
    }
}

/// Whether a file of this name is put there as it is, and not unpacked.
pub(crate) fn is_plain(file: &str) -> bool {
    Format::of(file) == Format::File
}

/// What was unpacked.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) inventory: Inventory,
    entries: u64,
    /// Bytes of files' contents.
    bytes: u64,
    /// From the first byte on; the download's time is in it where both went on at once.
    elapsed: Duration,
}

impl Contents {
    pub(crate) fn log(&self) {
        let Self { entries, bytes, .. } = *self;
        let elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let noun = if entries == 1 { "entry" } else { "entries" };
        tracing::info!(
            stage = "unpack",
            entries,
            bytes,
            elapsed_ms,
            "unpacked {entries} {noun}, {} in {elapsed_ms} ms",
            show_size(bytes)
        );
    }
}

/// An archive that is unpacked while it arrives, by a thread of its own.
#[derive(Debug)]
pub(crate) struct Unpacking {
    chunks: Option<SyncSender<Bytes>>,
    thread: Option<JoinHandle<Result<Contents, Failure>>>,
}

impl Unpacking {
    /// Begins to unpack the archive `file` into the empty directory `tree`.
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

    /// Hands over the next bytes. `false` when no more are wanted: then [`Unpacking::finish`] says why.
    pub(crate) fn push(&self, chunk: Bytes) -> bool {
        self.chunks
            .as_ref()
            .is_some_and(|chunks| chunks.send(chunk).is_ok())
    }

    /// That was all: waits for the end.
    pub(crate) fn finish(mut self) -> Result<Contents, Failure> {
        self.end().unwrap_or_else(|| {
            Err(Failure::new(
                Exit::CannotWrite,
                "the unpacking has ended already",
            ))
        })
    }

    fn end(&mut self) -> Option<Result<Contents, Failure>> {
        self.chunks = None;
        let outcome = self.thread.take()?.join();
        Some(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// Nothing is written any more once it is gone.
impl Drop for Unpacking {
    fn drop(&mut self) {
        self.end();
    }
}

/// Unpacks the archive in `artefact`, which bears the name `file`, into the empty directory `tree`.
pub(crate) fn unpack_file(
    artefact: &mut File,
    file: &str,
    tree: &Path,
    rules: Rules,
) -> Result<Contents, Failure> {
    artefact
        .rewind()
        .map_err(|error| Failure::cannot_write(tree, error))?;
    let input = std::io::BufReader::with_capacity(BUFFER, artefact);
    unpack(input, file, tree, rules)
}

pub(crate) fn unpack(
    input: impl BufRead + Send,
    file: &str,
    tree: &Path,
    rules: Rules,
) -> Result<Contents, Failure> {
    let begin = Instant::now();
    let mut contents = open_directory(tree)
        .and_then(|root| into(input, file, root, rules))
        .map_err(|error| error.into_failure(file, tree))?;
    contents.elapsed = begin.elapsed();
    Ok(contents)
}

fn open_directory(tree: &Path) -> Result<OwnedFd, UnpackError> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    open(tree, flags, Mode::empty()).map_err(|error| UnpackError::Write {
        path: String::new(),
        source: error.into(),
    })
}

fn into(
    input: impl BufRead + Send,
    file: &str,
    root: OwnedFd,
    rules: Rules,
) -> Result<Contents, UnpackError> {
    let limits = rules.limits;
    let beneath = Beneath::new(root, rules);
    match Format::of(file) {
        Format::TarGz => {
            let decoder = flate2::bufread::MultiGzDecoder::new(input);
            ahead::read_ahead(decoder, |input| {
                entries::extract(input, "gzip", beneath, limits)
            })
        }
        Format::TarZst => {
            let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|source| {
                UnpackError::Damaged {
                    format: "zstd",
                    source,
                }
            })?;
            ahead::read_ahead(decoder, |input| {
                entries::extract(input, "zstd", beneath, limits)
            })
        }
        Format::Tar => entries::extract(input, "tar", beneath, limits),
        Format::File => Err(UnpackError::refused("it is no archive")),
    }
}

/// Moves a file that is no archive from `path` into `tree`; made executable when it is ELF or begins
/// with `#!`. `artefact` is the open file: what lies at `path` by now must be that one.
pub(crate) fn place(
    artefact: &File,
    path: &Path,
    file: &str,
    tree: &Path,
    rules: Rules,
) -> Result<Contents, Failure> {
    let begin = Instant::now();
    let cannot = |error: std::io::Error| Failure::cannot_write(tree, error);
    let metadata = artefact.metadata().map_err(cannot)?;
    let bytes = metadata.len();
    let limit = rules.limits.unpacked;
    if bytes > limit {
        let error = stream::TooLarge { limit };
        return Err(Failure::new(Exit::Refused, format!("{file} is refused")).because(error));
    }
    let target: PathBuf = tree.join(file);
    std::fs::rename(path, &target).map_err(cannot)?;
    let placed = std::fs::symlink_metadata(&target).map_err(cannot)?;
    if (placed.dev(), placed.ino(), placed.nlink()) != (metadata.dev(), metadata.ino(), 1) {
        return Err(Failure::new(
            Exit::CannotWrite,
            format!("{} was replaced while it was fetched", path.display()),
        ));
    }
    let mut head = [0; 4];
    let read = artefact.read_at(&mut head, 0).map_err(cannot)?;
    let head = &head[..read];
    let executable = head == b"\x7fELF" || head.starts_with(b"#!");
    let mode = rules.mode(if executable { 0o755 } else { 0o644 });
    let status = rules
        .hand_over(artefact)
        .and_then(|()| fchmod(artefact, Mode::from_bits_truncate(mode)))
        .and_then(|()| fstat(artefact))
        .map_err(|error| cannot(error.into()))?;
    Ok(Contents {
        inventory: Inventory::of([(file.into(), Entry::file(&status))], rules.readers),
        entries: 1,
        bytes,
        elapsed: begin.elapsed(),
    })
}
