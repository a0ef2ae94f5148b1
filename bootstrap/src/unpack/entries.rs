//! An archive's entries, one after the other, against the allow-list: directories, regular files,
//! and links that stay inside. Everything else is refused by name.
//!
//! An archive must end with its end marker, and nothing but zeros may follow: a truncated archive
//! and one with something behind it are damaged, whatever other programs make of them.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;

use tar::{Archive, Entry, EntryType, Header};

use super::beneath::{Beneath, inside};
use super::extensions::{self, Extensions};
use super::stream::Counted;
use super::{UnpackError, Unpacked};
use crate::settings::Limits;

const BLOCK: u64 = 512;

pub(super) fn extract(
    input: impl Read,
    format: &'static str,
    beneath: &mut Beneath,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let mut archive = Archive::new(Counted::new(input, limits.unpacked));
    let outcome = walk(&mut archive, format, beneath, limits);
    let mut input = archive.into_inner();
    outcome
        .and_then(|(unpacked, end)| finish(&mut input, format, end).map(|()| unpacked))
        .map_err(|error| input.explain(error))
}

/// The entries; returns what was unpacked and where the last entry ended.
fn walk<R: Read>(
    archive: &mut Archive<Counted<R>>,
    format: &'static str,
    beneath: &mut Beneath,
    limits: Limits,
) -> Result<(Unpacked, u64), UnpackError> {
    let damaged = |source| UnpackError::Damaged { format, source };
    let mut unpacked = Unpacked::default();
    let mut extensions = Extensions::default();
    let mut modes = HashMap::new();
    let mut end = 0;
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        unpacked.entries += 1;
        refuse_many(unpacked.entries + beneath.made(), limits)?;
        let size = entry.size();
        end = entry.raw_file_position() + size.next_multiple_of(BLOCK);
        match entry.header().entry_type() {
            EntryType::XHeader => {
                let body = extensions::body(size, &mut entry)?;
                extensions.add_pax(&body)?;
            }
            EntryType::XGlobalHeader => {
                extensions::check_global(&extensions::body(size, &mut entry)?)?;
            }
            EntryType::GNULongName => {
                extensions.path = Some(extensions::long_name(extensions::body(size, &mut entry)?));
            }
            EntryType::GNULongLink => {
                extensions.link = Some(extensions::long_name(extensions::body(size, &mut entry)?));
            }
            kind => {
                let said = std::mem::take(&mut extensions);
                unpacked.bytes += one(&mut entry, kind, said, beneath, &mut modes)?;
            }
        }
    }
    refuse_many(unpacked.entries + beneath.made(), limits)?;
    if extensions.is_pending() {
        return Err(UnpackError::refused(
            "it ends with a header that says more of an entry, and no entry",
        ));
    }
    // Last, because a directory without the right to write could not be filled.
    for (path, mode) in modes {
        beneath.set_directory_mode(&path, mode)?;
    }
    Ok((unpacked, end))
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

/// One entry; returns the bytes of its content.
fn one<R: Read>(
    entry: &mut Entry<'_, R>,
    kind: EntryType,
    said: Extensions,
    beneath: &mut Beneath,
    modes: &mut HashMap<PathBuf, u32>,
) -> Result<u64, UnpackError> {
    let header = entry.header();
    let raw_path = said
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let shown = String::from_utf8_lossy(&raw_path)
        .chars()
        .take(200)
        .collect::<String>();
    let refused = |reason: &str| UnpackError::refused(format!("{shown:?} {reason}"));
    if said.size.is_some_and(|size| size != entry.size()) {
        return Err(refused(
            "has one size in its header and another in its extended header",
        ));
    }
    let path = inside(&raw_path).map_err(&refused)?;
    // Other programs may take such content for entries.
    let has_content = matches!(
        kind,
        EntryType::Directory | EntryType::Symlink | EntryType::Link
    ) && entry.size() > 0;
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
    let needs_name = || refused("stands for the whole tree, and is no directory");
    match kind {
        // A trailing slash makes a directory of a regular entry: that is how the oldest format did it.
        EntryType::Directory => {
            beneath.directory(&path)?;
            modes.insert(path, mode | 0o700);
            Ok(0)
        }
        EntryType::Regular | EntryType::Continuous if raw_path.ends_with(b"/") => {
            if entry.size() > 0 {
                return Err(refused("is named as a directory and has content"));
            }
            beneath.directory(&path)?;
            modes.insert(path, mode | 0o700);
            Ok(0)
        }
        EntryType::Regular | EntryType::Continuous => {
            if path.as_os_str().is_empty() {
                return Err(needs_name());
            }
            modes.remove(&path);
            let size = entry.size();
            let written = beneath.file(&path, mode, mtime, entry)?;
            if written != size {
                let source = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(UnpackError::Damaged {
                    format: "tar",
                    source,
                });
            }
            Ok(written)
        }
        EntryType::Symlink | EntryType::Link => {
            if path.as_os_str().is_empty() {
                return Err(needs_name());
            }
            let target = match said.link {
                Some(target) => target,
                None => header
                    .link_name_bytes()
                    .map(std::borrow::Cow::into_owned)
                    .unwrap_or_default(),
            };
            if kind == EntryType::Symlink {
                beneath
                    .symlink(&path, &target)
                    .map_err(|error| error.of(&shown))?;
            } else {
                let target = inside(&target).map_err(|reason| {
                    refused(&format!("is a hard link to a path that {reason}"))
                })?;
                beneath
                    .hard_link(&path, &target)
                    .map_err(|error| error.of(&shown))?;
            }
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

/// The permission bits. No setuid, setgid or sticky bit is ever set.
fn mode(header: &Header, shown: &str) -> Result<u32, UnpackError> {
    let mode = header.mode().map_err(|source| UnpackError::Damaged {
        format: "tar",
        source,
    })?;
    if mode & 0o6000 != 0 && !header.entry_type().is_dir() {
        tracing::warn!("{shown:?} is packed as setuid or setgid: it is unpacked without");
    }
    Ok(mode & 0o777)
}

/// The end marker, and nothing but zeros behind it.
fn finish<R: Read>(
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
