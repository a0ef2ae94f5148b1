//! One request and its response on a connection that may be persistent.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

/// Whether the error means that the server closed the connection before it answered.
pub(super) fn is_closed(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
    )
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The first word of `X-Platform-App`.
    pub(super) app: String,
    pub(super) closes: bool,
    pub(super) body: String,
}

pub(super) fn exchange(connection: &mut TcpStream, request: &[u8]) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    connection.write_all(request)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let (head, length) = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length: usize = field(&head, "content-length")
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| broken("a response without a length"))?;
            break (head, end + 4 + length);
        }
        match connection.read(&mut chunk)? {
            0 if bytes.is_empty() => return Err(io::ErrorKind::ConnectionAborted.into()),
            0 => return Err(broken("closed in the middle of a head")),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    while bytes.len() < length {
        match connection.read(&mut chunk)? {
            0 => return Err(broken("closed in the middle of a body")),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| broken("no status"))?,
        app: field(&head, "x-platform-app")
            .and_then(|identity| identity.split(' ').next())
            .unwrap_or_default()
            .to_owned(),
        closes: field(&head, "connection") == Some("close"),
        body: String::from_utf8_lossy(&bytes[bytes.len().min(head.len() + 4)..]).into_owned(),
    })
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
