//! Ten thousand idle or slow connections: the server answers other clients, its memory is bounded, and it closes the
//! idle connections.

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

/// Memory limit per connection, in bytes. The largest part is the read buffer of a head or body. The average is half of
/// the limit.
const MAX_BYTES_EACH: u64 = 64 << 10;

/// Returns the resident memory in bytes (proc(5)).
fn resident_bytes(server: &Server) -> u64 {
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
fn ten_thousand_held_connections_do_not_block_other_clients() {
    let count = raise_limit(COUNT);
    if count < COUNT {
        note(&format!(
            "ran in part, with {count} of {COUNT} connections (the hard limit of descriptors)"
        ));
    }
    let storage = tempfile::tempdir().unwrap();
    // Long enough to open all connections before the server closes the first one.
    let settings = [("HEADER_TIMEOUT", "10s"), ("STALL_TIMEOUT", "90s")];
    let server = Server::start_with(storage.path(), &settings);
    server.publish("/artefacts/hello/1.0.0/f", "small");
    let before = resident_bytes(&server);
    let crowd = Crowd::open(&server, count);
    eventually("all connections are open", || {
        connections(&server) > crowd.len()
    });

    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "small");
    let grown = resident_bytes(&server).saturating_sub(before);
    let limit = MAX_BYTES_EACH * crowd.len() as u64;
    assert!(
        grown < limit,
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
        "the server closes slow heads, too"
    );
    // The server keeps the connections with a body to send or to read.
    let others = crowd.bodies.len() + crowd.readers.len();
    eventually("the idle connections are closed", || {
        connections(&server) <= others + 1
    });
    assert_eq!(connections(&server), others + 1);
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "small");
}

/// Uploads byte by byte, each within the stall timeout of the server.
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

/// Returns the number of connections that wait to be accepted (`rx_queue` of a listening socket, proc(5)).
fn accept_queue(server: &Server) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{:04X}", server.address.port());
    let line = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut listening = line.filter(|fields| fields[1].ends_with(&local) && fields[3] == "0A");
    let (_, queue) = listening.next().unwrap()[4].split_once(':').unwrap();
    usize::from_str_radix(queue, 16).unwrap()
}

/// If the queue is full, the kernel of the client retries after a second.
#[test]
fn a_burst_of_connections_fits_in_the_accept_queue() {
    let (_storage, server) = Server::fresh();
    server.process().signal(libc::SIGSTOP);
    let address = server.address;
    let burst = thread::spawn(move || {
        let open = |_| TcpStream::connect(address).unwrap();
        (0..1000).map(open).collect::<Vec<_>>()
    });
    eventually("the connections are in the queue", || {
        accept_queue(&server) >= 1000
    });
    server.process().signal(libc::SIGCONT);
    assert_eq!(burst.join().unwrap().len(), 1000);
    assert_eq!(server.get("/healthz").status, 200);
}
