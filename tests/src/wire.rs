//! A connection that sends arbitrary bytes and reads the responses one by one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::http::Response;
use crate::run::TIMEOUT;

#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// Received bytes after the last response.
    rest: Vec<u8>,
}

impl Wire {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Ignores errors, because a server may refuse early.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Half-closes the connection.
    pub fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Returns the next complete response. Skips interim responses. `None` if the server has closed the connection.
    pub fn answer(&mut self, is_head: bool) -> Option<Response> {
        loop {
            let end = self.until(|rest| rest.windows(4).position(|four| four == b"\r\n\r\n"))?;
            let head: Vec<u8> = self.rest.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            let mut lines = head.lines();
            let line = lines.next().unwrap_or_default();
            let status = line.strip_prefix("HTTP/1.").and_then(|line| line.get(2..5));
            let status = status.and_then(|status| status.parse().ok());
            let headers = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let mut response = Response {
                status: status.unwrap_or_else(|| panic!("an answer, and not {head:?}")),
                headers,
                body: Vec::new(),
            };
            if response.status < 200 {
                continue;
            }
            if is_head || matches!(response.status, 204 | 304) {
                return Some(response);
            }
            // The servers under test send no chunks, so the client needs no decoder that could hide an error of theirs.
            assert_eq!(response.header("transfer-encoding"), None, "{head}");
            let length: Option<usize> = response
                .header("content-length")
                .map(|length| length.parse().expect("a length"));
            if let Some(length) = length {
                self.until(|rest| (rest.len() >= length).then_some(()))?;
                response.body = self.rest.drain(..length).collect();
            } else {
                self.until(|_| None::<()>);
                response.body = std::mem::take(&mut self.rest);
            }
            return Some(response);
        }
    }

    /// Reads until `find` finds something in the received bytes; `None` at the end of the connection.
    fn until<T>(&mut self, find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(found) = find(&self.rest) {
                return Some(found);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => self.rest.extend_from_slice(&chunk[..read]),
                Err(error) => {
                    let is_reset = error.kind() == std::io::ErrorKind::ConnectionReset;
                    assert!(
                        is_reset,
                        "neither a response nor the end of the connection: {error}"
                    );
                    return None;
                }
            }
        }
    }

    /// Returns the bytes after the last response, once the server has closed the connection.
    pub fn remainder(mut self) -> Vec<u8> {
        self.until(|_| None::<()>);
        self.rest
    }
}

/// Whether the connection of a response can be reused.
pub fn stays_open(answer: &Response) -> bool {
    answer
        .header("connection")
        .is_none_or(|value| !value.eq_ignore_ascii_case("close"))
}
