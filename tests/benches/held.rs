//! The latency of a small GET, with and without ten thousand held connections.
#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::cast_precision_loss, reason = "the figures are small")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::Duration;

use platformer_tests::binaries;
use platformer_tests::crowd::{Crowd, raise_limit};
use platformer_tests::http;
use platformer_tests::measure::{now, percentile, ratio};
use platformer_tests::run::eventually;
use platformer_tests::server::Server;
use platformer_tests::wire::Wire;
use xtask::build::Profile;

const COUNT: usize = 10_000;

/// Number of requests of each kind.
const REQUESTS: usize = 5000;

const PATH: &str = "/artefacts/hello/1.0.0/f";

fn main() {
    binaries::use_profile(Profile::Release);
    let count = raise_limit(COUNT);
    let storage = tempfile::tempdir().unwrap();
    let settings = [("HEADER_TIMEOUT", "10m"), ("STALL_TIMEOUT", "10m")];
    let server = Server::start_with(storage.path(), &settings);
    server.publish(PATH, vec![b'x'; 1000]);
    // The first round fills caches.
    measure(&server);
    let before = measure(&server);
    let memory = |server| metric(server, "repository_resident_memory_bytes ");
    let memory_before = memory(&server);
    let crowd = Crowd::open(&server, count);
    eventually("all connections are open", || {
        metric(&server, "repository_connections ") > crowd.len()
    });
    let after = measure(&server);
    println!(
        "\n{REQUESTS} sequential GETs of 1000 bytes, with {} held connections",
        crowd.len()
    );
    println!("                           without       with");
    for (number, kind) in ["one connection", "new connections"].iter().enumerate() {
        for rank in [50, 99] {
            let of = |times: &[Vec<Duration>; 2]| percentile(&times[number], rank);
            let (before, after) = (of(&before), of(&after));
            println!(
                "{kind:<18} p{rank} {:>10} {:>10} {:>7}",
                microseconds(before),
                microseconds(after),
                ratio(after, before)
            );
        }
    }
    let grown = memory(&server).saturating_sub(memory_before);
    println!(
        "memory per held connection: {:.1} KiB",
        grown as f64 / 1024.0 / crowd.len() as f64
    );
}

fn microseconds(duration: Duration) -> String {
    format!("{} µs", duration.as_micros())
}

/// Returns a metric of the server.
fn metric(server: &Server, name: &str) -> usize {
    let text = server.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

/// Returns the durations over one connection, and over a new connection for each request.
fn measure(server: &Server) -> [Vec<Duration>; 2] {
    let mut wire = Wire::open(server.address);
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let timed = |send: &mut dyn FnMut() -> u16| {
        let times = (0..REQUESTS).map(|_| {
            let begin = now();
            assert_eq!(send(), 200);
            now().saturating_sub(begin)
        });
        times.collect()
    };
    let persistent = timed(&mut || {
        wire.send(request.as_bytes());
        wire.answer(false).unwrap().status
    });
    [
        persistent,
        timed(&mut || http::get(server.address, PATH).status),
    ]
}
