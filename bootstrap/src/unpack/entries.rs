//! An archive's entries. The allow-list: directories, regular files, and links that stay inside the tree.
//! Every other entry is refused by name.
//!
//! An archive must end with its end marker, and only zeros may follow. Anything else means that the
//! archive is damaged, even if other programs accept it.

use std::io::{BufRead, Read as _};
use std::time::Duration;

use tar::{EntryType, Header};

use super::beneath::Beneath;
use super::blocks::{BLOCK, Blocks};
use super::contents::Contents;
use super::error::UnpackError;
use super::extensions::{self, Extensions};
use super::extraction::Extraction;
use super::headers;
use super::paths::inside;
use super::stream::{Counted, too_large};
use crate::settings::Limits;

/// Maximum length of all names, in bytes.
const MAX_NAMES: u64 = 64 << 20;

pub(super) fn extract(
    input: impl BufRead,
    format: &'static str,
    beneath: Beneath,
    limits: Limits,
) -> Result<Contents, UnpackError> {
    let mut blocks = Blocks::new(Counted::new(input, limits.unpacked));
    let mut extraction = Extraction::new(beneath);
    let outcome = walk(&mut blocks, format, &mut extraction, limits);
    let mut input = blocks.into_inner();
    let walked = outcome
        .and_then(|walked| finish(&mut input, format, walked.end).map(|()| walked))
        .map_err(|error| input.explain(error))?;
    Ok(Contents {
        inventory: extraction.finish()?,
        entries: walked.entries,
        bytes: walked.bytes,
        elapsed: Duration::ZERO,
    })
}

#[derive(Debug, Default)]
struct Walked {
    entries: u64,
    /// Bytes in all files.
    bytes: u64,
    /// The end of the last entry.
    end: u64,
    /// Bytes in all names, which stay in memory.
    names: u64,
}

fn walk<R: BufRead>(
    blocks: &mut Blocks<R>,
    format: &'static str,
    extraction: &mut Extraction,
    limits: Limits,
) -> Result<Walked, UnpackError> {
    let damaged = |source| UnpackError::Damaged { format, source };
    let mut walked = Walked::default();
    let mut extensions = Extensions::default();
    while let Some(header) = blocks.next().map_err(damaged)? {
        walked.entries += 1;
        refuse_many(walked.entries + extraction.implied(), limits)?;
        headers::check_form(header.as_bytes())?;
        headers::check_size(&header.as_old().size)?;
        let size = header.entry_size().map_err(damaged)?;
        walked.end = blocks.end();
        // The check comes before the first byte is written.
        if walked.end > limits.unpacked {
            return Err(too_large(limits.unpacked));
        }
        match header.entry_type() {
            EntryType::XHeader => {
                let body = extensions::body(size, blocks)?;
                extensions.add_pax(&body)?;
            }
            EntryType::XGlobalHeader => {
                extensions::check_global(&extensions::body(size, blocks)?)?;
            }
            EntryType::GNULongName => {
                extensions.set_path(extensions::body(size, blocks)?)?;
            }
            EntryType::GNULongLink => {
                extensions.set_link(extensions::body(size, blocks)?)?;
            }
            _ => {
                let extended = std::mem::take(&mut extensions);
                walked.names += extended.path.as_ref().map_or(100, |path| path.len() as u64);
                if walked.names > MAX_NAMES {
                    return Err(UnpackError::refused("its names take more than 64 MiB"));
                }
                walked.bytes +=
                    extract_entry(&header, blocks, extended, walked.entries, extraction)?;
            }
        }
    }
    refuse_many(walked.entries + extraction.implied(), limits)?;
    if extensions.is_pending() {
        return Err(UnpackError::refused(
            "it ends with an extended header without an entry",
        ));
    }
    Ok(walked)
}

/// The limit includes implied directories: a deep path creates many of them.
fn refuse_many(entries: u64, limits: Limits) -> Result<(), UnpackError> {
    if entries <= limits.entries {
        return Ok(());
    }
    Err(UnpackError::refused(format!(
        "it has more than {} entries: BOOTSTRAP_MAX_ENTRIES sets the limit",
        limits.entries
    )))
}

/// Extracts the `number`th entry, and returns the size of its content.
fn extract_entry<R: BufRead>(
    header: &Header,
    content: &mut Blocks<R>,
    extended: Extensions,
    number: u64,
    extraction: &mut Extraction,
) -> Result<u64, UnpackError> {
    let kind = header.entry_type();
    let raw_path = extended
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let shown = || {
        String::from_utf8_lossy(&raw_path)
            .chars()
            .take(200)
            .collect::<String>()
    };
    let refused = |reason: &str| UnpackError::refused(format!("{:?} {reason}", shown()));
    let size = content.size();
    if extended.size.is_some_and(|extended| extended != size) {
        return Err(refused(
            "has different sizes in its header and its extended header",
        ));
    }
    let path = inside(&raw_path).map_err(&refused)?;
    // Other programs can read such content as entries.
    let has_content = matches!(
        kind,
        EntryType::Directory | EntryType::Symlink | EntryType::Link
    ) && size > 0;
    if has_content {
        return Err(refused("has content, but isn't a file"));
    }
    let mode = headers::mode(header, &shown)?;
    let mtime = extended.mtime.or_else(|| {
        header
            .mtime()
            .ok()
            .and_then(|seconds| i64::try_from(seconds).ok())
    });
    if path.as_os_str().is_empty() && !is_directory(kind, &raw_path) {
        return Err(refused("names the tree itself, but isn't a directory"));
    }
    match kind {
        EntryType::Directory | EntryType::Regular | EntryType::Continuous
            if is_directory(kind, &raw_path) =>
        {
            if size > 0 {
                return Err(refused("has content, but is named like a directory"));
            }
            extraction.directory(path, mode)?;
            Ok(0)
        }
        EntryType::Regular | EntryType::Continuous => {
            extraction.file(number, path, (mode, mtime), content)?;
            Ok(size)
        }
        EntryType::Symlink | EntryType::Link => {
            let target = match extended.link {
                Some(target) => target,
                None => header
                    .link_name_bytes()
                    .map(std::borrow::Cow::into_owned)
                    .unwrap_or_default(),
            };
            let outcome = if kind == EntryType::Symlink {
                extraction.symlink(number, path, &target)
            } else {
                let target = inside(&target).map_err(|reason| {
                    refused(&format!("is a hard link to a path that {reason}"))
                })?;
                extraction.hard_link(number, path, &target)
            };
            outcome.map_err(|error| error.of(&shown()))?;
            Ok(0)
        }
        EntryType::GNUSparse => Err(refused("is a sparse file: pack it without --sparse")),
        EntryType::Char | EntryType::Block => Err(refused("is a device")),
        EntryType::Fifo => Err(refused("is a named pipe")),
        other => Err(refused(&format!(
            "is of type {:?}, which bootstrap does not unpack",
            char::from(other.as_byte())
        ))),
    }
}

/// In the oldest format, a directory is a regular entry with a trailing slash.
fn is_directory(kind: EntryType, raw_path: &[u8]) -> bool {
    match kind {
        EntryType::Directory => true,
        EntryType::Regular | EntryType::Continuous => raw_path.ends_with(b"/"),
        _ => false,
    }
}

/// Checks that the archive ends with its end marker, followed only by zeros.
fn finish<R: BufRead>(
    input: &mut Counted<R>,
    format: &'static str,
    end: u64,
) -> Result<(), UnpackError> {
    if input.position() < end + BLOCK {
        return Err(UnpackError::refused(
            "it has no end marker, so it is incomplete: pack and publish it again",
        ));
    }
    let mut rest = [0; 4096];
    loop {
        match input
            .read(&mut rest)
            .map_err(|source| UnpackError::Damaged { format, source })?
        {
            0 => return Ok(()),
            read if rest[..read].iter().all(|byte| *byte == 0) => {}
            _ => return Err(UnpackError::refused("data follows its end marker")),
        }
    }
}
