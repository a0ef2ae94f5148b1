//! A WebSocket client (RFC 6455) that can also misbehave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};
use serde_json::Value;

/// Limit for the wait for a message.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The key and the accepted key of section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
    rest: Vec<u8>,
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Json(Value),
    /// A close frame with its code.
    Closed(u16),
    /// The end of the connection, without a close code.
    Gone,
}

impl WebSocket {
    /// Opens a WebSocket, or returns the status of the refusal.
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).expect("the server listens");
        Self::open_on(stream, address, path, headers)
    }

    /// Like [`Self::open`], with a small receive buffer and small segments. With the defaults, the kernel buffers
    /// megabytes per loopback connection.
    pub fn open_with_small_buffers(address: SocketAddr, path: &str) -> Result<Self, u16> {
        let SocketAddr::V4(to) = address else {
            panic!("an address of IPv4");
        };
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        setsockopt(&socket, sockopt::TcpMaxSeg, &536).expect("an option");
        setsockopt(&socket, sockopt::RcvBuf, &4096).expect("an option");
        connect(socket.as_raw_fd(), &SockaddrIn::from(to)).expect("the server listens");
        Self::open_on(TcpStream::from(socket), address, path, &[])
    }

    fn open_on(
        mut stream: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream
            .write_all(head.as_bytes())
            .expect("the server accepts the request");
        let mut rest = Vec::new();
        let end = loop {
            let mut chunk = [0; 4 << 10];
            let read = stream.read(&mut chunk).expect("an answer");
            assert!(read > 0, "a response before the end of the connection");
            rest.extend_from_slice(&chunk[..read]);
            if let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head: Vec<u8> = rest.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        match status.unwrap_or_else(|| panic!("a status in {head}")) {
            101 => {
                assert!(head.contains(ACCEPT), "{head}");
                Ok(Self { stream, rest })
            }
            status => Err(status),
        }
    }

    /// Returns the next message. Answers pings.
    pub fn receive(&mut self) -> Received {
        loop {
            let Some((opcode, payload)) = self.frame() else {
                return Received::Gone;
            };
            match opcode {
                TEXT => return Received::Json(serde_json::from_slice(&payload).expect("JSON")),
                PING => self.send_frame(PONG, &payload),
                CLOSE => {
                    self.send_frame(CLOSE, &payload);
                    let code = payload.get(..2).map(|code| [code[0], code[1]]);
                    return code.map_or(Received::Gone, |code| {
                        Received::Closed(u16::from_be_bytes(code))
                    });
                }
                PONG => {}
                other => panic!("a frame of an unexpected kind: {other}"),
            }
        }
    }

    /// Returns the next message of a kind, and skips others.
    pub fn receive_kind(&mut self, kind: &str) -> Value {
        loop {
            match self.receive() {
                Received::Json(message) if message["kind"] == kind => return message,
                Received::Json(_) => {}
                other => panic!("{other:?} instead of a message of the kind {kind}"),
            }
        }
    }

    pub fn send(&mut self, text: &str) {
        self.send_frame(TEXT, text.as_bytes());
    }

    /// Masks with zeros, which the RFC allows.
    fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | u8::try_from(length).expect("less than 126")),
            length => {
                frame.push(0x80 | 0x7e);
                let length = u16::try_from(length).expect("no test sends more");
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        // Fails if the server has closed the connection.
        let _ = self.stream.write_all(&frame);
    }

    /// Reads a frame. The servers under test don't fragment messages.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2)?;
        assert_eq!(head[0] & 0xf0, 0x80, "a final frame without reserved bits");
        let length = match head[1] {
            length @ 0..126 => usize::from(length),
            126 => {
                let bytes = self.take(2)?;
                usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
            }
            _ => {
                let bytes = self.take(8)?;
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            }
        };
        Some((head[0] & 0x0f, self.take(length)?))
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut chunk = [0; 16 << 10];
        while self.rest.len() < length {
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => self.rest.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no message: {error}"),
            }
        }
        Some(self.rest.drain(..length).collect())
    }
}
