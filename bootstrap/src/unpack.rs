//! An artefact's file into a directory tree.
//!
//! 1. [`format`]: by the ending of its name: an archive, compressed or not, or a file to be copied
//! 2. [`stream`]: the decompressed bytes, counted against the cap
//! 3. [`entries`]: what the archive holds, against the allow-list
//! 4. [`beneath`]: files, directories and links, never outside of the tree and never through a link
//!    that the archive made
//!
//! No sync: a half-written tree is never renamed into place.

mod beneath;
mod entries;
mod extensions;
mod format;
mod stream;

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use repository_api::units::show_size;

use crate::exit::{Exit, Failure};
use crate::settings::Limits;
use beneath::Beneath;
use format::Format;

const BUFFER: usize = 256 << 10;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    pub(crate) entries: u64,
    /// Bytes of file contents.
    pub(crate) bytes: u64,
}

/// Unpacks `artefact`, which bears the name `file`, into the empty directory `tree`.
pub(crate) fn unpack(
    artefact: &mut File,
    file: &str,
    tree: &Path,
    limits: Limits,
) -> Result<Unpacked, Failure> {
    let begin = Instant::now();
    let cannot_read = |error| Failure::cannot_write(tree, error);
    artefact.rewind().map_err(cannot_read)?;
    let root = nix::fcntl::open(
        tree,
        nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )
    .map_err(|error| Failure::cannot_write(tree, error))?;
    let unpacked =
        into(artefact, file, root, limits).map_err(|error| error.into_failure(file, tree))?;
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Unpacked { entries, bytes } = unpacked;
    let noun = if entries == 1 { "entry" } else { "entries" };
    tracing::info!(
        stage = "unpack",
        entries,
        bytes,
        elapsed_ms,
        "unpacked {entries} {noun}, {} in {elapsed_ms} ms",
        show_size(bytes)
    );
    Ok(unpacked)
}

fn into(
    artefact: &mut File,
    file: &str,
    root: OwnedFd,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let mut beneath = Beneath::new(root);
    let input = BufReader::with_capacity(BUFFER, artefact);
    match Format::of(file) {
        Format::TarGz => {
            let decoder = flate2::bufread::MultiGzDecoder::new(input);
            entries::extract(decoder, "gzip", &mut beneath, limits)
        }
        Format::TarZst => {
            let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|source| {
                UnpackError::Damaged {
                    format: "zstd",
                    source,
                }
            })?;
            entries::extract(decoder, "zstd", &mut beneath, limits)
        }
        Format::Tar => entries::extract(input, "tar", &mut beneath, limits),
        Format::File => copy(input, file, &mut beneath, limits),
    }
}

/// A file that is no archive: made executable when it is ELF or begins with `#!`.
fn copy(
    mut input: impl Read,
    file: &str,
    beneath: &mut Beneath,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let damaged = |source| UnpackError::Damaged {
        format: "file",
        source,
    };
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match input.read(&mut head[filled..]).map_err(damaged)? {
            0 => break,
            read => filled += read,
        }
    }
    let head = &head[..filled];
    let executable = head == b"\x7fELF" || head.starts_with(b"#!");
    let mode = if executable { 0o755 } else { 0o644 };
    let mut whole = stream::Counted::new(head.chain(input), limits.unpacked);
    let bytes = beneath
        .file(Path::new(file), mode, None, &mut whole)
        .map_err(|error| whole.explain(error))?;
    Ok(Unpacked { entries: 1, bytes })
}
