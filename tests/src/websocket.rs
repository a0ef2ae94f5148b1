//! The client's side of a WebSocket by hand (RFC 6455): as much as it takes to follow, and to misbehave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};
use serde_json::Value;

/// For what is to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key and its answer of section 1.3.
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

/// What comes from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Json(Value),
    /// The reason for an end, by its number.
    Closed(u16),
    /// Without one.
    Gone,
}

impl WebSocket {
    /// Opens one, or returns the status of the refusal.
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).expect("somebody listens");
        Self::open_on(stream, address, path, headers)
    }

    /// The same, with little room for what is not read yet, and in small segments: the kernel keeps megabytes
    /// for a connection over loopback otherwise.
    pub fn open_narrow(address: SocketAddr, path: &str) -> Result<Self, u16> {
        let SocketAddr::V4(to) = address else {
            panic!("an address of IPv4");
        };
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        setsockopt(&socket, sockopt::TcpMaxSeg, &536).expect("an option");
        setsockopt(&socket, sockopt::RcvBuf, &4096).expect("an option");
        connect(socket.as_raw_fd(), &SockaddrIn::from(to)).expect("somebody listens");
        Self::open_on(TcpStream::from(socket), address, path, &[])
    }

    fn open_on(
        mut stream: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).expect("it is taken");
        let mut rest = Vec::new();
        let end = loop {
            let mut chunk = [0; 4 << 10];
            let read = stream.read(&mut chunk).expect("an answer");
            assert!(read > 0, "an answer, and not the end");
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

    /// The next thing that is said; pings are answered on the way.
    pub fn told(&mut self) -> Told {
        loop {
            let Some((opcode, payload)) = self.frame() else {
                return Told::Gone;
            };
            match opcode {
                TEXT => return Told::Json(serde_json::from_slice(&payload).expect("JSON")),
                PING => self.send(PONG, &payload),
                CLOSE => {
                    self.send(CLOSE, &payload);
                    let code = payload.get(..2).map(|code| [code[0], code[1]]);
                    return code.map_or(Told::Gone, |code| Told::Closed(u16::from_be_bytes(code)));
                }
                PONG => {}
                other => panic!("a frame of an unexpected kind: {other}"),
            }
        }
    }

    /// The next message of a kind; others are passed over.
    pub fn next_of(&mut self, kind: &str) -> Value {
        loop {
            match self.told() {
                Told::Json(told) if told["kind"] == kind => return told,
                Told::Json(_) => {}
                other => panic!("{other:?} instead of a message of the kind {kind}"),
            }
        }
    }

    pub fn say(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    /// Masked with zeros, which is a mask.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | u8::try_from(length).expect("it is small")),
            length => {
                frame.push(0x80 | 0x7e);
                let length = u16::try_from(length).expect("no test says more");
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        // Who is being closed may be gone.
        let _ = self.stream.write_all(&frame);
    }

    /// A whole one: nobody here sends any in parts.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2)?;
        assert_eq!(head[0] & 0xf0, 0x80, "it is final, and nothing is reserved");
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
                Err(error) => panic!("nothing was told: {error}"),
            }
        }
        Some(self.rest.drain(..length).collect())
    }
}
