//! Clients of every kind that a load balancer has, for as long as something is done to what stands behind it.
//!
//! 1. new connections and kept ones, `GET` and `POST`, a request that takes three seconds, a WebSocket
//! 2. each notes what became of each request, and when
//! 3. the [`Report`] says how many failed, and how long they took
//!
//! Bounded: a handful of clients, each with a pause between two requests, to an address of this machine.

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

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(15);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// What `/slow` takes by itself.
const SLOW: Duration = Duration::from_secs(3);
/// A run has at least so many requests.
const REQUESTS: u64 = 3000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Get,
    KeptGet,
    Post,
    KeptPost,
    Slow,
    WebSocket,
}

const CLIENTS: [Kind; 9] = [
    Kind::Get,
    Kind::Get,
    Kind::KeptGet,
    Kind::KeptGet,
    Kind::Post,
    Kind::KeptPost,
    Kind::Slow,
    Kind::Slow,
    Kind::WebSocket,
];

/// One request, or one message of a WebSocket.
#[derive(Debug, Clone)]
struct Sample {
    kind: Kind,
    /// Since the load began.
    at: Duration,
    took: Duration,
    /// `Err`: what went wrong.
    outcome: Result<(), String>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    app: String,
    begin: Instant,
    ends: AtomicBool,
    done: AtomicU64,
    samples: Mutex<Vec<Sample>>,
    /// The bodies of the POSTs that were answered with 201.
    kept: Mutex<Vec<String>>,
    closed: AtomicU64,
    reopened: AtomicU64,
    broken: Mutex<Vec<String>>,
}

/// Under way until it is [finished](Load::finish).
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

/// What became of it all.
#[derive(Debug)]
pub struct Report {
    pub requests: usize,
    pub failures: Vec<Failure>,
    pub p99: Duration,
    pub longest: Duration,
    /// How many `WebSocket`s were closed with 1001, and opened anew.
    pub closed: u64,
    /// Kept connections that were found closed, and whose `GET` was sent again over a new one.
    pub reopened: u64,
    /// What `WebSocket`s broke in another way.
    pub broken: Vec<String>,
    pub kept: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub kind: Kind,
    /// Since the load began.
    pub at: Duration,
    pub what: String,
}

impl Load {
    /// Clients of `app`, whose load balancer is at `address`.
    pub fn begin(address: SocketAddr, app: &str) -> Self {
        assert!(address.ip().is_loopback(), "load stays on this machine");
        let shared = Arc::new(Shared {
            address,
            app: app.to_owned(),
            begin: Instant::now(),
            ends: AtomicBool::new(false),
            done: AtomicU64::new(0),
            samples: Mutex::new(Vec::new()),
            kept: Mutex::new(Vec::new()),
            closed: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
            broken: Mutex::new(Vec::new()),
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

    /// Goes on until there were requests enough, and tells what became of them.
    pub fn finish(self) -> Report {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.shared.done.load(Ordering::Relaxed) < REQUESTS && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.shared.ends.store(true, Ordering::Relaxed);
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
                        what: sample.outcome.clone().err()?,
                    })
                })
                .collect(),
            p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
            longest: took.last().copied().unwrap_or_default(),
            closed: self.shared.closed.load(Ordering::Relaxed),
            reopened: self.shared.reopened.load(Ordering::Relaxed),
            broken: take(&self.shared.broken),
            kept: take(&self.shared.kept),
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
        let mut kept = None;
        let mut count = 0;
        if self.kind == Kind::WebSocket {
            while !self.ends() {
                self.speak();
            }
            return;
        }
        while !self.ends() {
            count += 1;
            let begin = Instant::now();
            let outcome = self.ask(&mut kept, count);
            self.note(begin, outcome);
            std::thread::sleep(PAUSE);
        }
    }

    fn ends(&self) -> bool {
        self.shared.ends.load(Ordering::Relaxed)
    }

    fn note(&self, begin: Instant, outcome: Result<(), String>) {
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
        let connection = TcpStream::connect_timeout(&self.shared.address, PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }

    fn ask(&self, kept: &mut Option<TcpStream>, count: u64) -> Result<(), String> {
        let is_kept = matches!(self.kind, Kind::KeptGet | Kind::KeptPost);
        let is_post = matches!(self.kind, Kind::Post | Kind::KeptPost);
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
            if is_kept { "keep-alive" } else { "close" },
            body.len(),
        );
        let was_kept = kept.is_some();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self
                .connect()
                .map_err(|error| format!("connect: {error}"))?,
        };
        let mut answer = exchange(&mut connection, request.as_bytes());
        // Whoever keeps a connection may find it closed, and asks again what may be asked again (RFC 9112, section 9.3.1).
        if was_kept && !is_post && answer.as_ref().is_err_and(|error| is_closed(error.kind())) {
            self.shared.reopened.fetch_add(1, Ordering::Relaxed);
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
        if is_kept && !answer.closes {
            *kept = Some(connection);
        }
        if is_post {
            self.shared.kept.lock().expect("no panic").push(body);
        }
        Ok(())
    }

    /// One WebSocket, until it is closed.
    fn speak(&self) {
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
                self.note(begin, Err(format!("WebSocket: {error}")));
                std::thread::sleep(PAUSE);
                return;
            }
        };
        while !self.ends() {
            let begin = Instant::now();
            match echoes(&mut socket) {
                Ok(true) => self.note(begin, Ok(())),
                Ok(false) => {
                    self.shared.closed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    let at = self.shared.begin.elapsed().as_secs_f64();
                    let broken = format!("at {at:.1} s: {error}");
                    self.shared.broken.lock().expect("no panic").push(broken);
                    return;
                }
            }
            std::thread::sleep(5 * PAUSE);
        }
    }
}

/// Whether a message comes back; `false` where the server goes away, as it may.
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
