//! An archive's entries, one after the other, against the allow-list: directories, regular files,
//! and links that stay inside. Everything else is refused by name.
//!
//! An archive must end with its end marker, and nothing but zeros may follow: a truncated archive
//! and one with something behind it are damaged, whatever other programs make of them.

use std::io::{BufRead, Read as _};
use std::time::Duration;

use tar::{EntryType, Header};

use super::beneath::{Beneath, inside};
use super::blocks::{BLOCK, Blocks};
use super::extensions::{self, Extensions};
use super::extraction::Extraction;
use super::stream::{Counted, too_large};
use super::{Contents, UnpackError};
use crate::settings::Limits;

/// Bytes of all names at the most.
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
    /// Bytes of files' contents.
    bytes: u64,
    /// Where the last entry ended.
    end: u64,
    /// Bytes of names: they are what is kept in memory.
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
        refuse_strange_header(header.as_bytes())?;
        refuse_strange_size(&header.as_old().size)?;
        let size = header.entry_size().map_err(damaged)?;
        walked.end = blocks.end();
        // Before a byte of it is written.
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
                let said = std::mem::take(&mut extensions);
                walked.names += said.path.as_ref().map_or(100, |path| path.len() as u64);
                if walked.names > MAX_NAMES {
                    return Err(UnpackError::refused(
                        "its names alone have more than 64 MiB",
                    ));
                }
                walked.bytes += one(&header, blocks, said, walked.entries, extraction)?;
            }
        }
    }
    refuse_many(walked.entries + extraction.implied(), limits)?;
    if extensions.is_pending() {
        return Err(UnpackError::refused(
            "it ends with a header that says more of an entry, and no entry",
        ));
    }
    Ok(walked)
}

/// Programs look for the first half of a path in the header's last third where they take it for ustar's,
/// and disagree about when that is. What is left is ustar, and the older forms with nothing there.
fn refuse_strange_header(header: &[u8; 512]) -> Result<(), UnpackError> {
    let magic = &header[257..265];
    let rest_is_empty = header[345..500].iter().all(|byte| *byte == 0);
    let plain = magic == b"ustar\x0000"
        || ((magic == b"ustar  \0" || magic.iter().all(|byte| *byte == 0)) && rest_is_empty);
    if plain {
        return Ok(());
    }
    Err(UnpackError::refused(
        "a header is of a form that programs read differently",
    ))
}

/// The library is lenient where other programs are not, or in another way: what is left is octal digits
/// between blanks, or a binary number (GNU's) that fits.
fn refuse_strange_size(field: &[u8; 12]) -> Result<(), UnpackError> {
    let plain = match field {
        [0x80, 0, 0, 0, ..] => true,
        [first, ..] if first & 0x80 != 0 => false,
        _ => {
            let digits = field.trim_ascii_start();
            let end = digits
                .iter()
                .position(|byte| !(b'0'..=b'7').contains(byte))
                .unwrap_or(digits.len());
            digits[end..].iter().all(|byte| matches!(byte, 0 | b' '))
        }
    };
    if plain {
        return Ok(());
    }
    Err(UnpackError::refused(
        "a header has a size that programs read differently",
    ))
}

/// The cap counts what entries only imply, too: a deep path makes many directories.
fn refuse_many(entries: u64, limits: Limits) -> Result<(), UnpackError> {
    if entries <= limits.entries {
        return Ok(());
    }
    Err(UnpackError::refused(format!(
        "it has more than {} entries: BOOTSTRAP_MAX_ENTRIES sets the limit",
        limits.entries
    )))
}

/// The `number`th entry; returns the bytes of its content.
fn one<R: BufRead>(
    header: &Header,
    content: &mut Blocks<R>,
    said: Extensions,
    number: u64,
    extraction: &mut Extraction,
) -> Result<u64, UnpackError> {
    let kind = header.entry_type();
    let raw_path = said
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
    if said.size.is_some_and(|said| said != size) {
        return Err(refused(
            "has one size in its header and another in its extended header",
        ));
    }
    let path = inside(&raw_path).map_err(&refused)?;
    // Other programs may take such content for entries.
    let has_content = matches!(
        kind,
        EntryType::Directory | EntryType::Symlink | EntryType::Link
    ) && size > 0;
    if has_content {
        return Err(refused("is no file and has content"));
    }
    let mode = mode(header, &shown)?;
    let mtime = said.mtime.or_else(|| {
        header
            .mtime()
            .ok()
            .and_then(|seconds| i64::try_from(seconds).ok())
    });
    if path.as_os_str().is_empty() && !is_directory(kind, &raw_path) {
        return Err(refused("stands for the whole tree, and is no directory"));
    }
    match kind {
        EntryType::Directory | EntryType::Regular | EntryType::Continuous
            if is_directory(kind, &raw_path) =>
        {
            if size > 0 {
                return Err(refused("is named as a directory and has content"));
            }
            extraction.directory(path, mode)?;
            Ok(0)
        }
        EntryType::Regular | EntryType::Continuous => {
            extraction.file(number, path, (mode, mtime), content)?;
            Ok(size)
        }
        EntryType::Symlink | EntryType::Link => {
            let target = match said.link {
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
        EntryType::GNUSparse => Err(refused("is a sparse file: pack it with --sparse left out")),
        EntryType::Char | EntryType::Block => Err(refused("is a device")),
        EntryType::Fifo => Err(refused("is a named pipe")),
        other => Err(refused(&format!(
            "is of type {:?}, which is not unpacked",
            char::from(other.as_byte())
        ))),
    }
}

/// A trailing slash makes a directory of a regular entry: that is how the oldest format did it.
fn is_directory(kind: EntryType, raw_path: &[u8]) -> bool {
    match kind {
        EntryType::Directory => true,
        EntryType::Regular | EntryType::Continuous => raw_path.ends_with(b"/"),
        _ => false,
    }
}

/// The permission bits. No setuid, setgid or sticky bit is ever set.
fn mode(header: &Header, shown: &impl Fn() -> String) -> Result<u32, UnpackError> {
    let mode = header.mode().map_err(|source| UnpackError::Damaged {
        format: "tar",
        source,
    })?;
    if mode & 0o6000 != 0 && !header.entry_type().is_dir() {
        tracing::warn!(
            "{:?} is packed as setuid or setgid: it is unpacked without",
            shown()
        );
    }
    Ok(mode & 0o777)
}

/// The end marker, and nothing but zeros behind it.
fn finish<R: BufRead>(
    input: &mut Counted<R>,
    format: &'static str,
    end: u64,
) -> Result<(), UnpackError> {
    if input.position() < end + BLOCK {
        return Err(UnpackError::refused(
            "it has no end marker: it is cut short, pack and publish it again",
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
            _ => return Err(UnpackError::refused("something follows its end marker")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_everybody_reads_the_same() {
        let accepts = |field: &[u8; 12]| refuse_strange_size(field).is_ok();
        assert!(accepts(b"00000000007\0") && accepts(b"          7 ") && accepts(&[0; 12]));
        assert!(accepts(b"\x80\0\0\0\0\0\0\0\0\0\0\x07"));
        for bad in [
            b"+0000000007\0",
            b"-0000000007\0",
            b"00000000008\0",
            b"7 7\0\0\0\0\0\0\0\0\0",
            b"\x80\x01\0\0\0\0\0\0\0\0\0\x07",
            &[0xff; 12],
        ] {
            assert!(!accepts(bad), "{bad:?}");
        }
    }
}
