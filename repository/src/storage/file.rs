//! The bytes of a file, read in chunks as a client takes them.
//!
//! Opens and reads at once what the kernel has in its caches. Any other read would block the thread and every
//! connection that the thread serves, so the blocking pool does it.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::store::Chunks;

/// Bytes of a chunk. A connection holds two at most. Larger chunks are no faster: they leave the
/// processor's cache between the read and the write.
pub(super) const CHUNK: u64 = 64 << 10;

/// Runs `work` on a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Opens a file to read it; `None` if no such file exists.
pub(super) async fn open(path: PathBuf) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = match openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::NOENT) => return Ok(None),
        // The path isn't cached, or the kernel is too old to tell.
        Err(_) => blocking(move || File::open(path)).await,
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads `range` of a file, or all of it. Fails now if the file is too short, and on the way if it gets
/// shorter.
pub(super) fn chunks(file: File, range: Option<Range<u64>>) -> io::Result<Chunks> {
    let size = file.metadata()?.len();
    let range = range.unwrap_or(0..size);
    if range.end > size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the file has {size} bytes, expected {}", range.end),
        ));
    }
    let file = Arc::new(file);
    let chunks = stream::try_unfold(range.start, move |start| {
        let file = Arc::clone(&file);
        let end = range.end.min(start + CHUNK);
        async move {
            if start == end {
                return Ok(None);
            }
            let chunk = read(file, start..end).await?;
            Ok(Some((chunk, end)))
        }
    });
    Ok(chunks.boxed())
}

/// Reads `range`, all of which must exist.
pub(super) async fn read(file: Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    // After an error, the read that may block finds out whether it is final.
    let cached =
        preadv2(&file, &mut buffers, range.start, ReadWriteFlags::NOWAIT).unwrap_or_default();
    if cached < length {
        bytes = blocking(move || {
            file.read_exact_at(&mut bytes[cached..], range.start + cached as u64)?;
            Ok(bytes)
        })
        .await?;
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures_util::TryStreamExt as _;
    use rustix::fs::{Advice, fadvise};

    use super::*;

    const SIZE: usize = 200_000;

    fn file() -> (tempfile::NamedTempFile, Vec<u8>) {
        let bytes: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
        // Beside the sources: a tmpfs has no disk from which to read again.
        let mut file = tempfile::NamedTempFile::new_in(".").unwrap();
        file.write_all(&bytes).unwrap();
        file.as_file().sync_all().unwrap();
        (file, bytes)
    }

    async fn collect(file: File, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
        let chunks: Vec<Bytes> = chunks(file, range)?.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn ranges_are_read_from_the_page_cache_and_from_the_disk() {
        let (file, bytes) = file();
        for range in [0..SIZE, 0..1, 65_535..65_537, 199_999..200_000, 7..7] {
            for is_cached in [true, false] {
                let opened = open(file.path().to_owned()).await.unwrap().unwrap();
                if !is_cached {
                    fadvise(&opened, 0, None, Advice::DontNeed).unwrap();
                }
                let wanted = range.start as u64..range.end as u64;
                let read = collect(opened, Some(wanted)).await.unwrap();
                assert!(read == bytes[range.clone()], "{range:?}, {is_cached}");
            }
        }
        let missing = file.path().with_extension("missing");
        assert!(open(missing).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let (file, _) = file();
        let range = Some(0..SIZE as u64);
        let longer = Some(0..SIZE as u64 + 1);
        let open = || file.reopen().unwrap();
        let error = collect(open(), longer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let mut begun = chunks(open(), range).unwrap();
        begun.try_next().await.unwrap();
        file.as_file().set_len(100_000).unwrap();
        let error = begun.try_collect::<Vec<Bytes>>().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
