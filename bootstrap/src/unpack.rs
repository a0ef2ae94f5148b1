//! Unpacks an artefact into a directory tree.
//!
//! 1. [`format`]: by the ending of its name, the artefact is an archive, or a file to [`place`]
//! 2. [`background`] and [`feed`]: bytes are unpacked while they arrive; [`archive`]: or from a file
//! 3. [`read_ahead`]: decompresses; [`stream`]: counts against the limit
//! 4. [`blocks`]: splits the archive into headers and content; [`headers`], [`extensions`] and
//!    [`entries`]: check each entry against the allow-list
//! 5. [`extraction`]: keeps the archive's order where it matters; [`writers`]: write small files in
//!    parallel
//! 6. [`paths`], [`beneath`] and [`new_file`]: create files, directories and links inside the tree, and
//!    never through a link of the archive
//!
//! Nothing is synced: a half-written tree is never renamed into place.

mod archive;
mod background;
mod beneath;
mod blocks;
mod contents;
mod entries;
mod error;
mod extensions;
mod extraction;
mod feed;
mod format;
mod headers;
mod new_file;
mod paths;
mod place;
mod read_ahead;
mod rules;
mod stream;
mod writers;

#[cfg(fuzzing)]
pub(crate) use archive::unpack;
pub(crate) use archive::unpack_file;
pub(crate) use background::Unpacking;
pub(crate) use contents::Contents;
use format::Format;
pub(crate) use place::place;
pub(crate) use rules::Rules;

/// Whether a file of this name is placed as it is, and not unpacked.
pub(crate) fn is_plain(file: &str) -> bool {
    Format::of(file) == Format::File
}
