//! A client of one kind, which sends requests until the load is over and records their outcomes.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use super::exchange::{exchange, is_closed};

/// Pause between two requests of a client.
const PAUSE: Duration = Duration::from_millis(15);
/// A request that takes longer fails.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long `/slow` takes.
pub(super) const SLOW: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Get,
    PersistentGet,
    Post,
    PersistentPost,
    Slow,
    WebSocket,
}

/// One request or one WebSocket message.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) kind: Kind,
    /// Since the load began.
    pub(super) at: Duration,
    pub(super) duration: Duration,
    /// The error, if it failed.
    pub(super) outcome: Result<(), String>,
}

/// State of the load that its clients share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) app: String,
    pub(super) begin: Instant,
    pub(super) is_over: AtomicBool,
    pub(super) done: AtomicU64,
    pub(super) samples: Mutex<Vec<Sample>>,
    /// Bodies of the POSTs that were answered with 201.
    pub(super) acknowledged: Mutex<Vec<String>>,
    pub(super) closed: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) websocket_errors: Mutex<Vec<String>>,
}

impl Shared {
    pub(super) fn new(address: SocketAddr, app: &str) -> Self {
        Self {
            address,
            app: app.to_owned(),
            begin: Instant::now(),
            is_over: AtomicBool::new(false),
            done: AtomicU64::new(0),
            samples: Mutex::default(),
            acknowledged: Mutex::default(),
            closed: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            websocket_errors: Mutex::default(),
        }
    }
}

pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: Kind,
    pub(super) number: usize,
}

impl Client {
    pub(super) fn run(&self) {
        let mut connection = None;
        let mut count = 0;
        if self.kind == Kind::WebSocket {
            while !self.is_over() {
                self.run_websocket();
            }
            return;
        }
        while !self.is_over() {
            count += 1;
            let begin = Instant::now();
            let outcome = self.send(&mut connection, count);
            self.record(begin, outcome);
            std::thread::sleep(PAUSE);
        }
    }

    fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Relaxed)
    }

    fn record(&self, begin: Instant, outcome: Result<(), String>) {
        self.shared.done.fetch_add(1, Ordering::Relaxed);
        let sample = Sample {
            kind: self.kind,
            at: begin.duration_since(self.shared.begin),
            duration: begin.elapsed(),
            outcome,
        };
        self.shared.samples.lock().expect("no panic").push(sample);
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let connection = TcpStream::connect_timeout(&self.shared.address, TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }

    fn send(&self, persistent: &mut Option<TcpStream>, count: u64) -> Result<(), String> {
        let is_persistent = matches!(self.kind, Kind::PersistentGet | Kind::PersistentPost);
        let is_post = matches!(self.kind, Kind::Post | Kind::PersistentPost);
        let body = if is_post {
            format!(
                "{}-{}-{count}",
                self.shared.begin.elapsed().as_nanos(),
                self.number
            )
        } else {
            String::new()
        };
        let path = match self.kind {
            Kind::Slow => "/slow",
            _ if is_post => "/posts",
            _ => "/",
        };
        let request = format!(
            "{} {path} HTTP/1.1\r\nHost: {}.localhost\r\nConnection: {}\r\nContent-Length: {}\r\n\r\n{body}",
            if is_post { "POST" } else { "GET" },
            self.shared.app,
            if is_persistent { "keep-alive" } else { "close" },
            body.len(),
        );
        let is_reused = persistent.is_some();
        let mut connection = match persistent.take() {
            Some(connection) => connection,
            None => self
                .connect()
                .map_err(|error| format!("connect: {error}"))?,
        };
        let mut answer = exchange(&mut connection, request.as_bytes());
        // The server may close a persistent connection at any time. Clients repeat idempotent requests (RFC 9112,
        // section 9.3.1).
        if is_reused && !is_post && answer.as_ref().is_err_and(|error| is_closed(error.kind())) {
            self.shared.reconnects.fetch_add(1, Ordering::Relaxed);
            connection = self
                .connect()
                .map_err(|error| format!("connect: {error}"))?;
            answer = exchange(&mut connection, request.as_bytes());
        }
        let answer = answer.map_err(|error| format!("{path}: {error}"))?;
        let expected = if is_post { 201 } else { 200 };
        if answer.status != expected {
            return Err(format!("{path}: {} {}", answer.status, answer.body.trim()));
        }
        if answer.app != self.shared.app {
            return Err(format!("{path}: answered by {:?}", answer.app));
        }
        if is_persistent && !answer.closes {
            *persistent = Some(connection);
        }
        if is_post {
            self.shared
                .acknowledged
                .lock()
                .expect("no panic")
                .push(body);
        }
        Ok(())
    }

    /// Opens a WebSocket and uses it until it is closed.
    fn run_websocket(&self) {
        let begin = Instant::now();
        let opened = self
            .connect()
            .map_err(|error| error.to_string())
            .and_then(|connection| {
                let url = format!("ws://{}.localhost/echo", self.shared.app);
                tungstenite::client(url, connection).map_err(|error| error.to_string())
            });
        let mut socket = match opened {
            Ok((socket, _)) => socket,
            Err(error) => {
                self.record(begin, Err(format!("WebSocket: {error}")));
                std::thread::sleep(PAUSE);
                return;
            }
        };
        while !self.is_over() {
            let begin = Instant::now();
            match echoes(&mut socket) {
                Ok(true) => self.record(begin, Ok(())),
                Ok(false) => {
                    self.shared.closed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    let at = self.shared.begin.elapsed().as_secs_f64();
                    let error = format!("at {at:.1} s: {error}");
                    let mut errors = self.shared.websocket_errors.lock().expect("no panic");
                    errors.push(error);
                    return;
                }
            }
            std::thread::sleep(5 * PAUSE);
        }
    }
}

/// Sends a message and waits for its echo. `false` if the server closes with 1001.
fn echoes(socket: &mut WebSocket<TcpStream>) -> Result<bool, String> {
    let sent = socket.send(Message::text("hello"));
    loop {
        match socket.read() {
            Ok(Message::Text(_)) => return Ok(true),
            Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Away => return Ok(false),
            Ok(Message::Close(frame)) => return Err(format!("closed with {frame:?}")),
            Ok(_) => {}
            Err(error) => return Err(format!("{error} (sent: {sent:?})")),
        }
    }
}
