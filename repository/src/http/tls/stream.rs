//! An encrypted connection. Blobs come as mapped bytes that nobody may look at, for a page that cannot be read
//! would end the process; encrypting looks at them. So they are found by their address, as the plain
//! connection finds them, and read by a call that can fail.

use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::http::socket::Socket;
use crate::storage::file_of;

/// Bytes that are read and encrypted at once: two records of TLS.
const CHUNK: usize = 32 << 10;

#[derive(Debug)]
pub(crate) struct Encrypted {
    stream: TlsStream<Socket>,
    buffer: Vec<u8>,
}

impl Encrypted {
    pub(super) fn new(stream: TlsStream<Socket>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, buffer } = &mut *self;
        buffer.clear();
        for slice in slices {
            gather(buffer, slice)?;
        }
        Pin::new(stream).poll_write(cx, buffer)
    }

    /// Otherwise whoever writes would put head and body together first, and look at the bytes.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// As much of `bytes` as there is room for.
fn gather(buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let start = buffer.len();
    let length = bytes.len().min(CHUNK - start);
    match file_of(bytes) {
        None => buffer.extend_from_slice(&bytes[..length]),
        Some(source) => {
            buffer.resize(start + length, 0);
            source
                .file
                .read_exact_at(&mut buffer[start..], source.offset)?;
        }
    }
    Ok(())
}
