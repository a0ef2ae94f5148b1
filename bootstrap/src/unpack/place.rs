//! Files that are not archives.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::stat::{Mode, fchmod, fstat};

use super::contents::Contents;
use super::rules::Rules;
use super::stream::TooLarge;
use crate::exit::{Exit, Failure};
use crate::tree::{Entry, Inventory};

/// Moves a file from `path` into `tree`, and makes it executable if it is ELF or begins with `#!`. The
/// file at `path` must still be `artefact`, the open file that was hashed.
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
        let error = TooLarge { limit };
        return Err(Failure::new(Exit::Refused, format!("{file} is refused")).because(error));
    }
    let target: PathBuf = tree.join(file);
    std::fs::rename(path, &target).map_err(cannot)?;
    let placed = std::fs::symlink_metadata(&target).map_err(cannot)?;
    if (placed.dev(), placed.ino(), placed.nlink()) != (metadata.dev(), metadata.ino(), 1) {
        return Err(Failure::new(
            Exit::CannotWrite,
            format!(
                "another process replaced {} during the fetch",
                path.display()
            ),
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
