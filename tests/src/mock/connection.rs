//! A client's connection to the mock: reads requests, and sends responses, whole or broken.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub struct Request {
    pub target: String,
    /// Names are in lower case.
    pub headers: BTreeMap<String, String>,
    pub at: Instant,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    /// Headers of the next response.
    headers: String,
    body_limit: usize,
    bytes_sent: Arc<AtomicUsize>,
    is_open: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            reader: BufReader::new(stream),
            headers: String::new(),
            body_limit: usize::MAX,
            bytes_sent: Arc::default(),
            is_open: true,
        }
    }

    /// `None` once either side has closed the connection.
    pub(super) fn read_request(&mut self) -> Option<Request> {
        let mut line = String::new();
        if !self.is_open || self.reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let target = line.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Some(Request {
            target,
            headers,
            at: Instant::now(),
        })
    }

    /// Adds the body bytes of the following responses to a counter.
    pub(super) fn count_bytes(&mut self, counter: Arc<AtomicUsize>) {
        self.bytes_sent = counter;
    }

    /// Adds a header to the next response.
    pub fn header(&mut self, name: &str, value: &str) {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
    }

    /// Cuts the body of the next response, but not its `Content-Length`.
    pub fn limit_body(&mut self, bytes: usize) {
        self.body_limit = bytes;
    }

    pub fn send(&mut self, status: u16, body: &[u8]) {
        let has_length = self
            .headers
            .to_ascii_lowercase()
            .contains("content-length:");
        if !has_length {
            self.header("Content-Length", &body.len().to_string());
        }
        let headers = std::mem::take(&mut self.headers);
        let head = format!("HTTP/1.1 {status} X\r\n{headers}\r\n");
        let body = &body[..self.body_limit.min(body.len())];
        // Counted first: the client may end the test as soon as it has the bytes.
        self.bytes_sent.fetch_add(body.len(), Ordering::Relaxed);
        let message = [head.as_bytes(), body].concat();
        self.is_open = self.reader.get_mut().write_all(&message).is_ok();
    }

    pub fn close(&mut self) {
        self.is_open = false;
    }

    /// Closes the connection with a reset, after the client has received what was sent.
    pub fn reset(&mut self) {
        // A reset discards data that is still in the send buffer.
        std::thread::sleep(Duration::from_millis(50));
        abort(self.reader.get_ref());
        self.is_open = false;
    }

    /// Keeps the connection open without sending anything, for longer than any client waits.
    pub fn stall(&mut self) {
        std::thread::sleep(Duration::from_secs(30));
        self.is_open = false;
    }
}

#[expect(
    unsafe_code,
    reason = "SO_LINGER of zero is the only way to close with a reset"
)]
fn abort(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a small struct");
    // SAFETY: the descriptor is open, and the pointer and size are those of `linger`.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        );
    }
    let _ = stream.shutdown(Shutdown::Read);
}
