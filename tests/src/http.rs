//! An HTTP/1.1 client that can send requests that no library would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::run::TIMEOUT;

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// Returns the detail of a problem document.
    pub fn detail(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["detail"].as_str().expect("a detail").to_owned()
    }
}

/// Sends one request on its own connection. `Host` is the address unless `headers` contains another.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let bytes = encode(address, method, path, headers, body);
    raw(address, &bytes, method == "HEAD")
}

/// Like [`request`], but `None` if the server is down or its response is incomplete.
pub fn try_request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Response> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.set_read_timeout(Some(TIMEOUT)).ok()?;
    let _ = connection.write_all(&encode(address, method, path, headers, body));
    try_read(&mut connection, method == "HEAD")
}

fn encode(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

pub fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, &[], b"")
}

pub fn put(address: SocketAddr, path: &str, body: &[u8]) -> Response {
    request(address, "PUT", path, &[], body)
}

/// Sends the bytes unchanged and reads one response.
pub fn raw(address: SocketAddr, bytes: &[u8], is_head: bool) -> Response {
    let mut connection = TcpStream::connect(address).expect("the server listens");
    connection
        .set_read_timeout(Some(TIMEOUT))
        .expect("a timeout");
    // A server that refuses early may not read all bytes.
    let _ = connection.write_all(bytes);
    read(&mut connection, is_head)
}

/// Reads one complete response.
pub fn read(connection: &mut TcpStream, is_head: bool) -> Response {
    try_read(connection, is_head).expect("a response before the end of the connection")
}

fn try_read(connection: &mut TcpStream, is_head: bool) -> Option<Response> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = connection.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response {
        status: status.expect("a status"),
        headers,
        body: bytes[end + 4..].to_vec(),
    };
    let length = response
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok());
    let empty = is_head || matches!(response.status, 204 | 304);
    while !empty && length.is_none_or(|length| response.body.len() < length) {
        match connection.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => response.body.extend_from_slice(&chunk[..read]),
        }
    }
    Some(response)
}
