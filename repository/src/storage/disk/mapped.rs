//! Blobs mapped into memory, so that hyper has bytes to hand on; but nobody looks at them.
//!
//! - small ones are read: hyper would copy them in any case
//! - middling ones are known to the socket (`socket.rs`) by their address, and the kernel sends them from
//!   their file, without a copy
//! - large ones are copied by the kernel, from one window of the file after the other: they come from
//!   memory that no cache of the processor holds, and there a copy is quicker than pages handed on
//!
//! So memory does not grow with the file; and a page that cannot be read (a disk error, a file cut short by
//! somebody) fails a call instead of ending the process with SIGBUS. What is not in the page cache is brought
//! there first ([`near`](super::near)), by a thread that may wait.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use memmap2::{Mmap, MmapOptions};

use super::near;
use crate::storage::store::Content;

/// A blob of at most so many bytes is read into memory.
pub(super) const SMALL: u64 = 16 << 10;

/// A blob of at most so many bytes is sent from its file.
const MIDDLING: u64 = 4 << 20;

/// Of a larger one so many bytes are mapped at a time, for as long as they are sent.
const WINDOW: u64 = 2 << 20;

/// What is mapped, by its first address.
static MAPPINGS: RwLock<BTreeMap<usize, Known>> = RwLock::new(BTreeMap::new());

#[derive(Debug)]
struct Known {
    /// The address behind the last one.
    end: usize,
    file: Arc<File>,
    /// Where in the file the first one lies.
    offset: u64,
    is_sent: bool,
}

/// What some bytes are mapped from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<File>,
    /// Where in the file they begin.
    pub(crate) offset: u64,
    /// Whether the kernel may send them from there; otherwise it is to copy them.
    pub(crate) is_sent: bool,
}

/// What `bytes` are mapped from, if they are.
pub(crate) fn file_of(bytes: &[u8]) -> Option<Source> {
    let at = bytes.as_ptr().addr();
    let mappings = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
    let (start, known) = mappings.range(..=at).next_back()?;
    (at + bytes.len() <= known.end).then(|| Source {
        file: Arc::clone(&known.file),
        offset: known.offset + (at - start) as u64,
        is_sent: known.is_sent,
    })
}

/// A mapping that is known for as long as it is there.
struct Mapping(Mmap);

impl Mapping {
    fn new(file: &Arc<File>, range: Range<u64>, is_sent: bool) -> io::Result<Self> {
        let map = map(file, range.clone())?;
        let start = map.as_ptr().addr();
        let known = Known {
            end: start + map.len(),
            file: Arc::clone(file),
            offset: range.start,
            is_sent,
        };
        let mut mappings = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
        mappings.insert(start, known);
        drop(mappings);
        Ok(Self(map))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut mappings = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
        mappings.remove(&self.0.as_ptr().addr());
    }
}

/// A blob that is open.
pub(crate) enum Opened {
    /// All of it, worth keeping.
    Whole(Bytes),
    /// And its size in bytes.
    Large(Arc<File>, u64),
}

pub(crate) fn open(file: File) -> io::Result<Opened> {
    let length = file.metadata()?.len();
    if length > MIDDLING {
        return Ok(Opened::Large(Arc::new(file), length));
    }
    if length <= SMALL {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        return Ok(Opened::Whole(bytes.into()));
    }
    let file = Arc::new(file);
    let Ok(mapping) = Mapping::new(&file, 0..length, true) else {
        return Ok(Opened::Large(file, length));
    };
    near::bring_now(&file, 0..length)?;
    Ok(Opened::Whole(Bytes::from_owner(mapping)))
}

/// A process may have so many mappings and no more (`vm.max_map_count`): many slow readers, each of whom has
/// one, must not fail those who come later.
fn window(file: &Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    if let Ok(mapping) = Mapping::new(file, range.clone(), false) {
        return Ok(Bytes::from_owner(mapping));
    }
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

fn map(file: &File, range: Range<u64>) -> io::Result<Mmap> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut options = MmapOptions::new();
    options.offset(range.start).len(length);
    #[expect(
        unsafe_code,
        reason = "no file of the store is ever written again once it has its name; whoever cuts one short from outside makes calls fail, because nobody looks at the bytes"
    )]
    unsafe {
        options.map(file)
    }
}

impl Opened {
    /// Without looking at the bytes.
    pub(crate) fn part(self, range: Range<u64>) -> io::Result<Content> {
        match self {
            Self::Whole(bytes) => part(&bytes, range).map(Content::Whole),
            Self::Large(_, length) if range.end > length => Err(too_short(length, range.end)),
            Self::Large(file, _) => {
                let windows = stream::iter(range.start / WINDOW..range.end.div_ceil(WINDOW));
                let window = move |number: u64| {
                    let start = range.start.max(number * WINDOW);
                    let end = range.end.min((number + 1) * WINDOW);
                    let file = Arc::clone(&file);
                    async move {
                        near::bring(&file, start..end).await?;
                        window(&file, start..end)
                    }
                };
                Ok(Content::Stream(windows.then(window).boxed()))
            }
        }
    }
}

fn too_short(found: u64, expected: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("it has {found} bytes, and {expected} are expected"),
    )
}

/// Without looking at the bytes.
pub(crate) fn part(bytes: &Bytes, range: Range<u64>) -> io::Result<Bytes> {
    let bounds = usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok())
        .filter(|(start, end)| start <= end && *end <= bytes.len());
    match bounds {
        Some((start, end)) => Ok(bytes.slice(start..end)),
        None => Err(too_short(bytes.len() as u64, range.end)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_part_lies_within() {
        let bytes = Bytes::from_static(b"0123456789");
        assert_eq!(part(&bytes, 2..5).unwrap(), "234");
        assert!(part(&bytes, 0..11).is_err());
    }

    #[test]
    fn mapped_bytes_are_known_by_their_address() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 100_000]).unwrap();
        let Opened::Whole(bytes) = open(file).unwrap() else {
            panic!("it is not large");
        };
        let source = file_of(&bytes[40_000..50_000]).unwrap();
        assert_eq!((source.offset, source.is_sent), (40_000, true));
        let window = window(&source.file, 30_000..60_000).unwrap();
        let source = file_of(&window[1000..]).unwrap();
        assert_eq!((source.offset, source.is_sent), (31_000, false));
        assert!(file_of(b"of nobody").is_none());
        let (start, length) = (bytes.as_ptr().addr(), bytes.len());
        drop(bytes);
        let mappings = MAPPINGS.read().unwrap();
        assert!(!mappings.contains_key(&start), "{length} bytes are gone");
    }
}
