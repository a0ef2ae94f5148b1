//! Decompressed bytes, counted against the cap: a bomb is refused while it unpacks.

use std::io::{self, Read};

use repository_api::units::show_size;

use super::UnpackError;

pub(super) struct Counted<R> {
    inner: R,
    read: u64,
    limit: u64,
}

/// More came than the cap allows.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to more than {}: BOOTSTRAP_MAX_UNPACKED sets the limit", show_size(*limit))]
pub(super) struct TooLarge {
    pub(super) limit: u64,
}

pub(super) fn too_large(limit: u64) -> UnpackError {
    UnpackError::refused(TooLarge { limit }.to_string())
}

impl<R: Read> Counted<R> {
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

    /// An error of reading that was in truth the cap's.
    pub(super) fn explain(&self, error: UnpackError) -> UnpackError {
        if self.read > self.limit {
            return too_large(self.limit);
        }
        error
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        if self.read > self.limit {
            return Err(io::Error::other(TooLarge { limit: self.limit }));
        }
        Ok(read)
    }
}
