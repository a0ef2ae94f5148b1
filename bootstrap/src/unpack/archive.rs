//! Archives, by the ending of their name.

use std::fs::File;
use std::io::{BufRead, Seek as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::beneath::Beneath;
use super::contents::Contents;
use super::entries;
use super::error::UnpackError;
use super::format::Format;
use super::read_ahead::{BUFFER, read_ahead};
use super::rules::Rules;
use crate::exit::Failure;

/// Unpacks the archive in `artefact`, whose name is `file`, into the empty directory `tree`.
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

/// Unpacks an archive into the empty directory `tree`.
pub(crate) fn unpack(
    input: impl BufRead + Send,
    file: &str,
    tree: &Path,
    rules: Rules,
) -> Result<Contents, Failure> {
    let begin = Instant::now();
    let mut contents = open_directory(tree)
        .and_then(|root| extract(input, file, root, rules))
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

fn extract(
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
            read_ahead(decoder, |input| {
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
            read_ahead(decoder, |input| {
                entries::extract(input, "zstd", beneath, limits)
            })
        }
        Format::Tar => entries::extract(input, "tar", beneath, limits),
        Format::File => Err(UnpackError::refused("it isn't an archive")),
    }
}
