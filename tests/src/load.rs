//! Puts an app behind a load balancer under load while a test changes the app.
//!
//! 1. Clients use new and persistent connections, `GET` and `POST`, a request that takes three seconds, and a WebSocket.
//! 2. They record the time and outcome of each request.
//! 3. The [`Report`] contains the failures and latencies.
//!
//! The load is limited to a few clients, which pause between requests and connect only to a loopback address.

mod client;
mod exchange;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use client::Kind;
use client::{Client, SLOW, Shared};

/// Requests per run.
const MIN_REQUESTS: u64 = 3000;

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
    /// `WebSocket`s that the server closed with 1001, and that the client reopened.
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
        let shared = Arc::new(Shared::new(address, app));
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
        let mut durations: Vec<Duration> = samples
            .iter()
            .map(|sample| match sample.kind {
                Kind::Slow => sample.duration.saturating_sub(SLOW),
                _ => sample.duration,
            })
            .collect();
        durations.sort_unstable();
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
            p99: durations
                .get(durations.len() * 99 / 100)
                .copied()
                .unwrap_or_default(),
            longest: durations.last().copied().unwrap_or_default(),
            closed: self.shared.closed.load(Ordering::Relaxed),
            reconnects: self.shared.reconnects.load(Ordering::Relaxed),
            websocket_errors: take(&self.shared.websocket_errors),
            acknowledged: take(&self.shared.acknowledged),
        }
    }
}
