//! Ten thousand connections that are held. Everybody else is served meanwhile, in bounded memory, and those who have
//! nothing to ask for are let go.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use platformer_tests::crowd::{Crowd, is_closed_by_server, raise_limit};
use platformer_tests::http;
use platformer_tests::run::eventually;
use platformer_tests::server::Server;
use platformer_tests::skip::note;

const COUNT: usize = 10_000;

/// Bytes that one of them may cost at the most: what is read ahead of a head or a body, which is the largest
/// that a connection holds for long. The average is half of it.
const EACH: u64 = 64 << 10;

/// Bytes (proc(5)).
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kibibytes.parse::<u64>().unwrap() << 10
}

fn connections(server: &Server) -> usize {
    let text = server.get("/metrics").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("repository_connections "));
    line.unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_held_connections_hold_nobody_up() {
    let count = raise_limit(COUNT);
    if count < COUNT {
        note(&format!(
            "ran in part, with {count} of {COUNT} connections (the hard limit of descriptors)"
        ));
    }
    let storage = tempfile::tempdir().unwrap();
    // Long enough for all of them to be there before the first is let go, and no longer.
    let settings = [("HEADER_TIMEOUT", "10s"), ("STALL_TIMEOUT", "90s")];
    let server = Server::start_with(storage.path(), &settings);
    server.publish("/artefacts/hello/1.0.0/f", "small");
    let before = resident(&server);
    let crowd = Crowd::open(&server, count);
    eventually("all of them are there", || {
        connections(&server) > crowd.len()
    });

    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "small");
    let grown = resident(&server).saturating_sub(before);
    let most = EACH * crowd.len() as u64;
    assert!(
        grown < most,
        "{grown} bytes for {} connections",
        crowd.len()
    );

    let slow = slow_upload(&server);
    assert_eq!(slow.status, 201, "{}", slow.text());
    assert_eq!(
        server.get("/artefacts/hello/1.0.0/slow").text(),
        "slow and steady"
    );

    assert!(
        crowd
            .silent
            .iter()
            .all(|stream| is_closed_by_server(stream))
    );
    assert!(
        crowd.heads.iter().all(|stream| is_closed_by_server(stream)),
        "whatever drips"
    );
    // Those who send and those who may read yet are not let go with them.
    let others = crowd.bodies.len() + crowd.readers.len();
    eventually("the others are left", || connections(&server) <= others + 1);
    assert_eq!(connections(&server), others + 1);
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "small");
}

/// Byte for byte, each well within the patience of the server.
fn slow_upload(server: &Server) -> http::Response {
    let body = b"slow and steady";
    let mut upload = TcpStream::connect(server.address).unwrap();
    upload.set_nodelay(true).unwrap();
    let length = body.len();
    let head = format!(
        "PUT /artefacts/hello/1.0.0/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    );
    upload.write_all(head.as_bytes()).unwrap();
    for byte in body {
        thread::sleep(Duration::from_millis(100));
        upload.write_all(&[*byte]).unwrap();
    }
    http::read(&mut upload, false)
}

/// How many connections wait to be accepted (`rx_queue` of a listening socket, proc(5)).
fn waiting(server: &Server) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{:04X}", server.address.port());
    let line = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut listening = line.filter(|fields| fields[1].ends_with(&local) && fields[3] == "0A");
    let (_, queue) = listening.next().unwrap()[4].split_once(':').unwrap();
    usize::from_str_radix(queue, 16).unwrap()
}

/// Who finds the queue full is not refused, but tries again after a second.
#[test]
fn a_burst_finds_room_to_wait() {
    let (_storage, server) = Server::fresh();
    server.process().signal(libc::SIGSTOP);
    let address = server.address;
    let burst = thread::spawn(move || {
        let open = |_| TcpStream::connect(address).unwrap();
        (0..1000).map(open).collect::<Vec<_>>()
    });
    eventually("they wait", || waiting(&server) >= 1000);
    server.process().signal(libc::SIGCONT);
    assert_eq!(burst.join().unwrap().len(), 1000);
    assert_eq!(server.get("/healthz").status, 200);
}
