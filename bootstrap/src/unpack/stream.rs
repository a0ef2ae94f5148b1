//! Counts decompressed bytes against the limit, so that a bomb is refused while it unpacks.

use std::io::{self, BufRead, Read};

use repository_api::units::show_size;

use super::error::UnpackError;

#[derive(Debug)]
pub(super) struct Counted<R> {
    inner: R,
    read: u64,
    limit: u64,
}

/// The archive unpacks to more than the limit.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to more than {}: BOOTSTRAP_MAX_UNPACKED sets the limit", show_size(*limit))]
pub(super) struct TooLarge {
    pub(super) limit: u64,
}

pub(super) fn too_large(limit: u64) -> UnpackError {
    UnpackError::refused(TooLarge { limit }.to_string())
}

impl<R: BufRead> Counted<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            read: 0,
            limit,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.read
    }

    /// Replaces a read error that the limit caused.
    pub(super) fn explain(&self, error: UnpackError) -> UnpackError {
        if self.read > self.limit {
            return too_large(self.limit);
        }
        error
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read > self.limit {
            return Err(io::Error::other(TooLarge { limit: self.limit }));
        }
        let available = self.inner.fill_buf()?;
        // One byte beyond the limit is enough to detect the excess.
        let most = usize::try_from(self.limit - self.read)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        Ok(&available[..available.len().min(most)])
    }

    fn consume(&mut self, read: usize) {
        self.read += read as u64;
        self.inner.consume(read);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        if self.read > self.limit {
            return Err(io::Error::other(TooLarge { limit: self.limit }));
        }
        Ok(read)
    }
}
