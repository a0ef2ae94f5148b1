//! Decompresses in a thread of its own, some buffers ahead of the reader of the archive. Decompression
//! takes the longest of all steps, so no other step may delay it.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

use super::error::UnpackError;

/// Size of a buffer. Decoders are fast only with large buffers.
pub(super) const BUFFER: usize = 256 << 10;

/// Maximum number of full buffers.
const AHEAD: usize = 4;

/// The decompressed bytes.
#[derive(Debug)]
pub(super) struct ReadAhead {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    /// Bytes of `current` that were consumed.
    read: usize,
}

/// Runs `work` on the output of `decoder`.
pub(super) fn read_ahead<T>(
    mut decoder: impl Read + Send,
    work: impl FnOnce(ReadAhead) -> Result<T, UnpackError>,
) -> Result<T, UnpackError> {
    let (sender, full) = sync_channel(AHEAD);
    let (empty, used) = channel();
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("decompress".to_owned())
            .spawn_scoped(scope, move || {
                loop {
                    let buffer = used.try_recv().unwrap_or_default();
                    let filled = fill(&mut decoder, buffer);
                    let last = filled.as_ref().map_or(true, Vec::is_empty);
                    // The reader is gone if it refused an entry.
                    if sender.send(filled).is_err() || last {
                        return;
                    }
                }
            })
            .map_err(|source| UnpackError::Write {
                path: String::new(),
                source,
            })?;
        work(ReadAhead {
            full,
            empty,
            current: Vec::new(),
            read: 0,
        })
    })
}

/// Fills a buffer; only the last one is shorter.
fn fill(decoder: &mut impl Read, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
    buffer.resize(BUFFER, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match decoder.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.current.len() {
            // The sender ends after an empty buffer or an error.
            let next = self.full.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            let used = std::mem::replace(&mut self.current, next);
            self.read = 0;
            // The thread can have ended already.
            let _ = self.empty.send(used);
        }
        Ok(&self.current[self.read..])
    }

    fn consume(&mut self, read: usize) {
        self.read += read;
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes, and then perhaps an error.
    struct Source(Vec<u8>, bool);

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() && self.1 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let read = self.0.len().min(buffer.len()).min(1000);
            buffer[..read].copy_from_slice(&self.0[..read]);
            self.0.drain(..read);
            Ok(read)
        }
    }

    fn everything(source: Source) -> Result<Vec<u8>, UnpackError> {
        read_ahead(source, |mut ahead| {
            let mut all = Vec::new();
            match ahead.read_to_end(&mut all) {
                Ok(_) => Ok(all),
                Err(_) => Err(UnpackError::refused("damaged")),
            }
        })
    }

    #[test]
    fn bytes_come_in_order_and_errors_come_through() {
        for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            assert!(everything(Source(bytes.clone(), false)).unwrap() == bytes);
            assert!(everything(Source(bytes, true)).is_err());
        }
    }

    #[test]
    fn a_reader_that_stops_does_not_wait() {
        let outcome = read_ahead(Source(vec![0; 40 * BUFFER], false), |_| {
            Err::<(), _>(UnpackError::refused("enough"))
        });
        assert!(outcome.is_err());
    }
}
