//! Splits a tar stream into blocks: a header of 512 bytes, the content, and zeros up to the next multiple
//! of 512 (POSIX pax, "ustar Interchange Format").
//!
//! The tar library only decodes the headers: its own reader clears 32 KiB for every entry, which costs more
//! than a small file.

use std::io::{self, BufRead, Read};

use tar::Header;

use super::stream::Counted;

pub(super) const BLOCK: u64 = 512;

#[derive(Debug)]
pub(super) struct Blocks<R> {
    input: Counted<R>,
    /// Bytes left of the content.
    content: u64,
    /// Zeros after the content.
    padding: u64,
}

impl<R: BufRead> Blocks<R> {
    pub(super) fn new(input: Counted<R>) -> Self {
        Self {
            input,
            content: 0,
            padding: 0,
        }
    }

    /// The next header; `None` at the first block of the end marker, or at the end of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Header>> {
        let rest = self.content.saturating_add(self.padding);
        self.content = 0;
        self.padding = 0;
        self.skip(rest)?;
        let mut header = Header::new_old();
        if self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        self.input.read_exact(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        verify(&header)?;
        self.content = header.entry_size()?;
        self.padding = self.content.wrapping_neg() % BLOCK;
        Ok(Some(header))
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let available = self.input.fill_buf()?.len() as u64;
            if available == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = available.min(bytes);
            self.input
                .consume(usize::try_from(step).unwrap_or(usize::MAX));
            bytes -= step;
        }
        Ok(())
    }

    /// The position at the end of the entry. Saturates, so that a huge size does not wrap around.
    pub(super) fn end(&self) -> u64 {
        self.input
            .position()
            .saturating_add(self.content)
            .saturating_add(self.padding)
    }

    /// Bytes left of the content.
    pub(super) fn size(&self) -> u64 {
        self.content
    }

    /// Appends the rest of the content to `target`.
    pub(super) fn append_content(&mut self, target: &mut Vec<u8>) -> io::Result<()> {
        target.reserve(usize::try_from(self.content).unwrap_or(0));
        while self.content > 0 {
            let available = self.fill_buf()?;
            if available.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            target.extend_from_slice(available);
            let read = available.len();
            self.consume(read);
        }
        Ok(())
    }

    pub(super) fn into_inner(self) -> Counted<R> {
        self.input
    }
}

/// Reads the content of the current entry.
impl<R: BufRead> BufRead for Blocks<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.content == 0 {
            return Ok(&[]);
        }
        let available = self.input.fill_buf()?;
        let most = usize::try_from(self.content).unwrap_or(usize::MAX);
        Ok(&available[..available.len().min(most)])
    }

    fn consume(&mut self, read: usize) {
        self.content = self.content.saturating_sub(read as u64);
        self.input.consume(read);
    }
}

impl<R: BufRead> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Verifies a header's checksum: the sum of its bytes, with blanks in the checksum field.
fn verify(header: &Header) -> io::Result<()> {
    let bytes = header.as_bytes();
    let sum: u32 = bytes[..148]
        .iter()
        .chain(&bytes[156..])
        .map(|byte| u32::from(*byte))
        .sum();
    if header.cksum()? == sum + 8 * u32::from(b' ') {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "a header's checksum does not match",
    ))
}
