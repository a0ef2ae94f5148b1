//! A bounded channel for the bytes of a download, from the fetch to the unpacking thread. Memory does not
//! grow with the artefact.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::{Buf as _, Bytes};

/// Maximum number of queued chunks. A chunk has at most 400 KiB.
const CHUNKS: usize = 16;

#[derive(Debug)]
pub(crate) struct Feed {
    chunks: Receiver<Bytes>,
    current: Bytes,
}

pub(crate) fn feed() -> (SyncSender<Bytes>, Feed) {
    let (sender, chunks) = sync_channel(CHUNKS);
    let feed = Feed {
        chunks,
        current: Bytes::new(),
    };
    (sender, feed)
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.chunks.recv() {
                Ok(chunk) => self.current = chunk,
                // The sender is gone at the end of the artefact.
                Err(_) => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, read: usize) {
        self.current.advance(read);
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_out_as_one_stream() {
        let (sender, mut feed) = feed();
        for chunk in ["one ", "", "two"] {
            sender.send(Bytes::from_static(chunk.as_bytes())).unwrap();
        }
        drop(sender);
        let mut all = String::new();
        feed.read_to_string(&mut all).unwrap();
        assert_eq!(all, "one two");
    }
}
