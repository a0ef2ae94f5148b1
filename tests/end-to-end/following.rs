//! Server-sent events: clients receive the events that they may see.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use platformer_tests::binaries;
use platformer_tests::http;
use platformer_tests::run::{self, TIMEOUT};
use platformer_tests::s3::S3;
use platformer_tests::server::Server;
use serde_json::Value;

const STABLE: &str = "/channels/hello/stable";

struct Follower(BufReader<TcpStream>);

struct Event {
    id: Option<u64>,
    kind: String,
    data: Value,
}

impl Follower {
    fn new(server: &Server, query: &str, headers: &str) -> Self {
        let mut connection = TcpStream::connect(server.address).unwrap();
        let timeout = Some(Duration::from_secs(20));
        connection.set_read_timeout(timeout).unwrap();
        let address = server.address;
        let request = format!("GET /events{query} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut follower = Self(BufReader::new(connection));
        assert!(follower.line().starts_with("HTTP/1.1 200 "));
        while !follower.line().is_empty() {}
        // The server sends `retry` once the subscription is active.
        while follower.line() != "retry: 2000" {}
        follower
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// Waits for the next event.
    fn next(&mut self) -> Event {
        let (mut id, mut kind, mut data) = (None, None, None);
        // Comments arrive all the time, so the read timeout alone does not end the loop.
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let line = self.line();
            assert!(Instant::now() < deadline, "timed out waiting for an event");
            match line.split_once(": ") {
                Some(("id", text)) => id = Some(text.parse().unwrap()),
                Some(("event", text)) => kind = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                _ => {}
            }
            if line.is_empty()
                && let Some(kind) = kind.take()
            {
                let data = data.unwrap();
                return Event { id, kind, data };
            }
        }
    }

    /// Whether the stream ends before the read timeout.
    fn ends(mut self) -> bool {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).is_ok()
    }
}

#[test]
fn events_arrive_in_order_and_without_config_values() {
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/hello/0.9.0/f", "before");
    let mut all = Follower::new(&server, "", "");
    let mut one = Follower::new(&server, "?app=hello", "");
    server.publish("/artefacts/other/1.0.0/f", "x");
    server.publish("/artefacts/hello/1.0.0/f", "x");
    server.publish("/config/hello/hello.config", "SECRET=hunter2\n");
    server.publish("/config/hello/hello.config", "SECRET=hunter3\n");
    server.publish("/config/_default/_default.config", "A=1\n");
    server.publish(STABLE, "1.0.0");
    assert_eq!(
        server
            .request("DELETE", "/artefacts/hello/0.9.0", &[], b"")
            .status,
        204
    );
    let other = all.next();
    assert_eq!(
        (other.kind.as_str(), &other.data["app"]),
        ("publish", &"other".into())
    );
    // Only events of a single app have ids, from which a client can resume.
    for (follower, has_ids) in [(&mut all, false), (&mut one, true)] {
        let event = follower.next();
        assert_eq!(event.kind, "publish");
        assert_eq!(event.data["version"], "1.0.0");
        assert_eq!(event.data["file"], "f");
        assert_eq!(event.data["by"], "anonymous");
        for generation in 1..=2 {
            let event = follower.next();
            assert_eq!(event.kind, "configure");
            assert_eq!(event.data["generation"], generation);
            assert!(!event.data.to_string().contains("hunter"));
        }
        let event = follower.next();
        assert_eq!((&event.data["app"], event.id), (&"_default".into(), None));
        let event = follower.next();
        assert_eq!((event.kind.as_str(), event.id), ("release", None));
        assert_eq!(event.data["release"], "r1");
        let event = follower.next();
        assert_eq!(event.kind, "move");
        assert_eq!(
            (&event.data["channel"], &event.data["to"]),
            (&"stable".into(), &"r1".into())
        );
        assert_eq!(event.id.is_some(), has_ids);
        assert!(event.data.get("from").is_none());
        assert_eq!(follower.next().kind, "yank");
    }
    assert_eq!(server.get("/events?app=unknown").status, 404);
    assert_eq!(server.get("/events?app=No").status, 400);
    // A server that stops ends the streams.
    server.process().signal(libc::SIGTERM);
    assert!(all.ends() && one.ends());
    server.wait().expect(0);
}

#[test]
fn a_client_that_reconnects_receives_missed_events() {
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "x");
    let mut first = Follower::new(&server, "?app=hello", "");
    server.publish(STABLE, "1.0.0");
    assert_eq!(first.next().kind, "release");
    let last = first.next().id.unwrap();
    drop(first);
    server.publish("/artefacts/hello/1.1.0/f", "y");
    server.publish("/config/hello/hello.config", "A=1\n");
    server.publish(STABLE, "1.1.0");
    let mut resumed = Follower::new(&server, "?app=hello", &format!("Last-Event-ID: {last}\r\n"));
    server.publish("/artefacts/hello/1.2.0/f", "z");
    let events: Vec<Event> = (0..5).map(|_| resumed.next()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["publish", "configure", "release", "move", "publish"]
    );
    assert_eq!(events[1].data["generation"], 1);
    assert_eq!(
        (&events[3].data["from"], &events[3].data["to"]),
        (&"r1".into(), &"r2".into())
    );
    assert_eq!(events[4].data["version"], "1.2.0");
    // After too many missed events, the client receives `missed`.
    for number in 0..1001 {
        server.publish("/config/hello/hello.config", format!("A={number}\n"));
    }
    let mut late = Follower::new(&server, "?app=hello", &format!("Last-Event-ID: {last}\r\n"));
    assert_eq!(late.next().kind, "missed");
    // The client receives `missed` for an unknown id, and for an id on the stream of all apps.
    let mut unknown = Follower::new(&server, "?app=hello", "Last-Event-ID: 99999999\r\n");
    assert_eq!(unknown.next().kind, "missed");
    let mut all = Follower::new(&server, "", &format!("Last-Event-ID: {last}\r\n"));
    assert_eq!(all.next().kind, "missed");
    server.publish("/artefacts/hello/2.0.0/f", "z");
    assert_eq!(unknown.next().data["version"], "2.0.0");
}

#[test]
fn events_of_another_replica_arrive_within_seconds() {
    let store = S3::moto();
    let one = Server::start_on(&store, "p", &[]);
    let two = Server::start_on(&store, "p", &[]);
    one.publish("/artefacts/hello/1.0.0/f", "x");
    let mut all = Follower::new(&two, "", "");
    let mut hello = Follower::new(&two, "?app=hello", "");
    one.publish("/artefacts/hello/1.1.0/f", "y");
    assert_eq!(hello.next().data["version"], "1.1.0");
    one.publish("/artefacts/fresh/1.0.0/f", "y");
    // For an app that is new to this server, events of the last seconds may arrive, too.
    let mut next = all.next().data;
    if next["version"] == "1.0.0" {
        next = all.next().data;
    }
    assert_eq!(next["version"], "1.1.0");
    assert_eq!(all.next().data["app"], "fresh");
}

#[test]
fn a_revoked_token_receives_no_more_events() {
    let storage = tempfile::tempdir().unwrap();
    let token = crate::tokens::create(storage.path(), &["reader", "read:hello"]);
    let admin = crate::tokens::create(storage.path(), &["boss", "admin"]);
    let server = Server::start(storage.path());
    let publish = |version: &str| {
        let path = format!("/artefacts/hello/{version}/f");
        let authorization = format!("Bearer {admin}");
        let answer = server.request("PUT", &path, &[("Authorization", &authorization)], b"x");
        assert_eq!(answer.status, 201, "{}", answer.text());
    };
    publish("1.0.0");
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let mut follower = Follower::new(&server, "?app=hello", &authorization);
    let forbidden = http::request(
        server.address,
        "GET",
        "/events",
        &[("Authorization", &format!("Bearer {token}"))],
        b"",
    );
    assert_eq!(forbidden.status, 403, "{}", forbidden.text());
    assert_eq!(server.get("/events?app=hello").status, 401);
    publish("1.1.0");
    assert_eq!(follower.next().data["version"], "1.1.0");
    crate::tokens::token(storage.path(), &["revoke", "reader"], 0);
    std::thread::sleep(Duration::from_millis(2500));
    publish("1.2.0");
    assert!(follower.ends());
}

/// Streams and long polls may use half of the connections.
#[test]
fn waiting_clients_leave_room_for_other_requests() {
    // A server reserves 512 file descriptors and uses two per connection.
    const LIMIT: &str = "--nofile=600:600";
    const ROOM: usize = 44;
    let storage = tempfile::tempdir().unwrap();
    let location = format!("file://{}", storage.path().display());
    let environment = [
        ("REPOSITORY_STORAGE".into(), location.into()),
        ("REPOSITORY_LISTEN".into(), "127.0.0.1:0".into()),
    ];
    let program = binaries::repository();
    let arguments = [LIMIT, program.to_str().unwrap()];
    let process = run::spawn(Path::new("/usr/bin/prlimit"), &arguments, &environment);
    let line = process.wait_for_stderr("repository is ready");
    let address: SocketAddr = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("address=")?.parse().ok())
        .unwrap();
    assert_eq!(
        http::put(address, "/artefacts/hello/1.0.0/f", b"x").status,
        201
    );
    assert_eq!(http::put(address, STABLE, b"1.0.0").status, 201);
    let open = |head: &str| {
        let mut connection = TcpStream::connect(address).unwrap();
        let request = format!("GET {head}\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        connection
    };
    let streams: Vec<TcpStream> = (0..ROOM / 2)
        .map(|_| {
            let mut stream = open("/events?app=hello HTTP/1.1");
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let refused = http::get(address, "/events?app=hello");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    // Without room, long polls get 304 at once.
    for _ in 0..ROOM {
        let poll = [("If-None-Match", "\"m1\""), ("Prefer", "wait=300")];
        let answer = http::request(address, "GET", STABLE, &poll, b"");
        assert_eq!(answer.status, 304);
        assert!(answer.header("preference-applied").is_none());
    }
    assert_eq!(http::get(address, "/healthz").status, 200);
    drop(streams);
}
