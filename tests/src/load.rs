//! Puts an app behind a load balancer under load while a test changes the app.
//!
//! 1. Clients use new and persistent connections, `GET` and `POST`, a request that takes three seconds, and a WebSocket.
//! 2. They record the time and outcome of each request.
//! 3. The [`Report`] contains the failures and latencies.
//!
//! The load is limited to a few clients, which pause between requests and connect only to a loopback address.

mod exchange;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use exchange::{exchange, is_closed};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// Pause between two requests of a client.
const PAUSE: Duration = Duration::from_millis(15);
/// A request that takes longer fails.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(3);
/// Requests per run.
const MIN_REQUESTS: u64 = 3000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Get,
    PersistentGet,
    Post,
    PersistentPost,
    Slow,
    WebSocket,
}

const CLIENTS: [Kind; 9] = [
    Kind::Get,
    Kind::Get,
    Kind::PersistentGet,
    Kind::PersistentGet,
    Kind::Post,
    Kind::PersistentPost,
    Kind::Slow,
    Kind::Slow,
    Kind::WebSocket,
];

/// One request or one WebSocket message.
#[derive(Debug, Clone)]
struct Sample {
    kind: Kind,
    /// Since the load began.
    at: Duration,
    took: Duration,
    /// The error, if it failed.
    outcome: Result<(), String>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    app: String,
    begin: Instant,
    is_over: AtomicBool,
    done: AtomicU64,
    samples: Mutex<Vec<Sample>>,
    /// Bodies of the POSTs that were answered with 201.
    acknowledged: Mutex<Vec<String>>,
    closed: AtomicU64,
    reconnects: AtomicU64,
    websocket_errors: Mutex<Vec<String>>,
}

/// Runs until [`Load::finish`].
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
pub struct Report {
    pub requests: usize,
    pub failures: Vec<Failure>,
    pub p99: Duration,
    pub longest: Duration,
    /// `WebSocket`s that the server closed with 1001, and that the client reconnects.
    pub closed: u64,
    /// Persistent connections that were closed, so that the client repeated a `GET` on a new one.
    pub reconnects: u64,
    /// Errors of `WebSocket`s that ended in another way.
    pub websocket_errors: Vec<String>,
    /// Bodies of the POSTs that were answered with 201.
    pub acknowledged: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub kind: Kind,
    /// Since the load began.
    pub at: Duration,
    pub error: String,
}

impl Load {
    /// Starts clients of `app` behind the load balancer at `address`.
    pub fn start(address: SocketAddr, app: &str) -> Self {
        assert!(
            address.ip().is_loopback(),
            "load only on a loopback address"
        );
        let shared = Arc::new(Shared {
            address,
            app: app.to_owned(),
            begin: Instant::now(),
            is_over: AtomicBool::new(false),
            done: AtomicU64::new(0),
            samples: Mutex::new(Vec::new()),
            acknowledged: Mutex::new(Vec::new()),
            closed: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            websocket_errors: Mutex::new(Vec::new()),
        });
        let clients = CLIENTS
            .into_iter()
            .enumerate()
            .map(|(number, kind)| {
                let client = Client {
                    shared: Arc::clone(&shared),
                    kind,
                    number,
                };
                std::thread::spawn(move || client.run())
            })
            .collect();
        Self { shared, clients }
    }

    pub fn elapsed(&self) -> Duration {
        self.shared.begin.elapsed()
    }

    /// Waits until the clients have sent enough requests, and stops them.
    pub fn finish(self) -> Report {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.shared.done.load(Ordering::Relaxed) < MIN_REQUESTS && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.shared.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client ends");
        }
        let take =
            |texts: &Mutex<Vec<String>>| std::mem::take(&mut *texts.lock().expect("no panic"));
        let samples = self.shared.samples.lock().expect("no panic");
        let mut took: Vec<Duration> = samples
            .iter()
            .map(|sample| match sample.kind {
                Kind::Slow => sample.took.saturating_sub(SLOW),
                _ => sample.took,
            })
            .collect();
        took.sort_unstable();
        Report {
            requests: samples.len(),
            failures: samples
                .iter()
                .filter_map(|sample| {
                    Some(Failure {
                        kind: sample.kind,
                        at: sample.at,
                        error: sample.outcome.clone().err()?,
                    })
                })
                .collect(),
            p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
            longest: took.last().copied().unwrap_or_default(),
            closed: self.shared.closed.load(Ordering::Relaxed),
            reconnects: self.shared.reconnects.load(Ordering::Relaxed),
            websocket_errors: take(&self.shared.websocket_errors),
            acknowledged: take(&self.shared.acknowledged),
        }
    }
}

struct Client {
    shared: Arc<Shared>,
    kind: Kind,
    number: usize,
}

impl Client {
    fn run(&self) {
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
            took: begin.elapsed(),
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
