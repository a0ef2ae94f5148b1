//! A small GET beside ten thousand connections that are held: what it costs with and without them.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(
    clippy::cast_precision_loss,
    reason = "a figure of that size is no worse for it"
)]
#![allow(clippy::unwrap_used, reason = "what fails here is to be seen")]

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

/// Of each kind of request.
const REQUESTS: usize = 5000;

const PATH: &str = "/artefacts/hello/1.0.0/f";

fn main() {
    binaries::use_profile(Profile::Release);
    let count = raise_limit(COUNT);
    let storage = tempfile::tempdir().unwrap();
    let settings = [("HEADER_TIMEOUT", "10m"), ("STALL_TIMEOUT", "10m")];
    let server = Server::start_with(storage.path(), &settings);
    server.publish(PATH, vec![b'x'; 1000]);
    // The first ones fill caches.
    measure(&server);
    let before = measure(&server);
    let memory = |server| figure(server, "repository_resident_memory_bytes ");
    let memory_before = memory(&server);
    let crowd = Crowd::open(&server, count);
    eventually("all of them are there", || {
        figure(&server, "repository_connections ") > crowd.len()
    });
    let beside = measure(&server);
    println!(
        "\nGET of 1000 bytes, {REQUESTS} one after the other, beside {} held connections",
        crowd.len()
    );
    println!("                           without       with");
    for (number, kind) in ["one connection", "a connection each"].iter().enumerate() {
        for rank in [50, 99] {
            let of = |times: &[Vec<Duration>; 2]| percentile(&times[number], rank);
            let (before, beside) = (of(&before), of(&beside));
            println!(
                "{kind:<18} p{rank} {:>10} {:>10} {:>7}",
                microseconds(before),
                microseconds(beside),
                ratio(beside, before)
            );
        }
    }
    let grown = memory(&server).saturating_sub(memory_before);
    println!(
        "memory for each of them: {:.1} KiB",
        grown as f64 / 1024.0 / crowd.len() as f64
    );
}

fn microseconds(duration: Duration) -> String {
    format!("{} µs", duration.as_micros())
}

/// One of the server's own figures.
fn figure(server: &Server, name: &str) -> usize {
    let text = server.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

/// How long each took: over one connection that is kept, and over a new one each.
fn measure(server: &Server) -> [Vec<Duration>; 2] {
    let mut wire = Wire::open(server.address);
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let timed = |ask: &mut dyn FnMut() -> u16| {
        let times = (0..REQUESTS).map(|_| {
            let begin = now();
            assert_eq!(ask(), 200);
            now().saturating_sub(begin)
        });
        times.collect()
    };
    let kept = timed(&mut || {
        wire.send(request.as_bytes());
        wire.answer(false).unwrap().status
    });
    [kept, timed(&mut || http::get(server.address, PATH).status)]
}
