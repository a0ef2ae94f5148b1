//! A connection that sends mapped blobs from their files: what hyper writes is looked up by its address, and
//! the kernel sends it (`sendfile`, sendfile(2)) without a copy. Everything else is written as it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::sendfile;
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::storage::file_of;

#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Tries until it would not block, or must wait.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut try_once: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_io(Interest::WRITABLE, &mut try_once) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
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
        // hyper gives a head and a body, seldom more.
        let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
        let slices = &slices[empty..];
        let mapped = slices
            .iter()
            .enumerate()
            .filter(|(_, slice)| !slice.is_empty())
            .find_map(|(at, slice)| Some((at, file_of(slice).filter(|source| source.is_sent)?)));
        match mapped {
            None => Pin::new(&mut self.0).poll_write_vectored(cx, slices),
            Some((0, source)) => {
                let length = slices[0].len();
                self.poll_send(cx, || {
                    let mut offset = source.offset;
                    match sendfile(&self.0, &source.file, Some(&mut offset), length)? {
                        0 => Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the file is shorter than it was",
                        )),
                        sent => Ok(sent),
                    }
                })
            }
            // What comes before a file waits for its first bytes: a head and its body are one packet.
            Some(_) => self.poll_send(cx, || {
                Ok(send(
                    &self.0,
                    &slices[0],
                    SendFlags::MORE | SendFlags::NOSIGNAL,
                )?)
            }),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
