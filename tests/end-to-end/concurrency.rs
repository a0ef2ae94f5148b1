//! Concurrent clients, and processes that are killed at any time.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use platformer_tests::fixture::{App, Bootstrap, digest};
use platformer_tests::mock::Mock;
use platformer_tests::server::Server;
use repository_api::Digest;

#[test]
fn one_of_many_publishers_of_a_version_wins() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    for round in 0..10 {
        let path = format!("/artefacts/hello/1.0.{round}/f");
        let outcomes = Mutex::new(BTreeMap::<u16, Vec<usize>>::new());
        thread::scope(|scope| {
            for publisher in 0..16 {
                let (server, path, outcomes) = (&server, &path, &outcomes);
                scope.spawn(move || {
                    let status = server.put(path, format!("from {publisher}")).status;
                    outcomes
                        .lock()
                        .unwrap()
                        .entry(status)
                        .or_default()
                        .push(publisher);
                });
            }
        });
        let outcomes = outcomes.into_inner().unwrap();
        assert_eq!(
            (outcomes[&201].len(), outcomes[&409].len()),
            (1, 15),
            "{outcomes:?}"
        );
        assert_eq!(
            server.get(&path).text(),
            format!("from {}", outcomes[&201][0])
        );
    }
}

#[test]
fn concurrent_config_writes_and_releases_lose_nothing() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    server.publish("/artefacts/hello/1.0.0/f", "x");
    let statuses = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for writer in 0..8 {
            let (server, statuses) = (&server, &statuses);
            scope.spawn(move || {
                for round in 0..5 {
                    let config = server
                        .put(
                            "/config/hello/hello.config",
                            format!("A={writer}.{round}\n"),
                        )
                        .status;
                    let channel = server
                        .put(&format!("/channels/hello/channel-{writer}"), "1.0.0")
                        .status;
                    statuses.lock().unwrap().extend([config, channel]);
                }
            });
        }
    });
    assert!(
        statuses
            .into_inner()
            .unwrap()
            .iter()
            .all(|status| matches!(status, 200 | 201))
    );
    let newest = server
        .get("/config/hello/hello.config")
        .header("etag")
        .unwrap()
        .to_owned();
    assert_eq!(
        newest, "\"g40\"",
        "each of the 40 writes makes a generation"
    );
    for generation in 1..=40 {
        assert_eq!(
            server
                .get(&format!(
                    "/config/hello/hello.config?generation={generation}"
                ))
                .status,
            200
        );
    }
    let releases = server.get("/releases/hello/").json();
    let numbers: Vec<String> = releases["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["release"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (1..=numbers.len())
        .rev()
        .map(|number| format!("r{number}"))
        .collect();
    assert_eq!(
        numbers, expected,
        "release numbers have no gaps and no duplicates"
    );
}

/// An upload that races with the release of its version is part of the release, or is refused.
#[test]
fn sealing_is_atomic() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    for round in 0..20 {
        let version = format!("1.0.{round}");
        server.publish(&format!("/artefacts/hello/{version}/first"), "x");
        let (late, released) = thread::scope(|scope| {
            let late = scope.spawn(|| {
                server
                    .put(&format!("/artefacts/hello/{version}/late"), "x")
                    .status
            });
            let released = scope.spawn(|| server.put("/channels/hello/stable", &version).text());
            (late.join().unwrap(), released.join().unwrap())
        });
        let statement = server
            .get(&format!("/releases/hello/{}?statement", released.trim()))
            .json();
        let names: Vec<&str> = statement["artefacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["file"].as_str().unwrap())
            .collect();
        let expected: &[&str] = if late == 201 {
            &["first", "late"]
        } else {
            &["first"]
        };
        assert_eq!(names, expected, "the late file got status {late}");
    }
}

#[test]
fn acknowledged_uploads_survive_a_kill_and_partial_ones_are_not_listed() {
    let storage = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<String, Digest> = BTreeMap::new();
    for round in 0..12_u64 {
        let server = Server::start(storage.path());
        for (path, body) in &acknowledged {
            let found = server.get(path);
            assert_eq!((found.status, digest(&found.body)), (200, *body), "{path}");
        }
        let done = Mutex::new(BTreeMap::new());
        let address = server.address;
        thread::scope(|scope| {
            for writer in 0..4 {
                let done = &done;
                scope.spawn(move || {
                    for number in 0.. {
                        let path = format!("/artefacts/hello/1.{round}.{number}/from-{writer}");
                        let body = format!("{path} ").repeat(20_000 * (writer + 1)).into_bytes();
                        let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                        let mut answer = Vec::new();
                        let sent = TcpStream::connect(address).and_then(|mut connection| {
                            connection.write_all(head.as_bytes())?;
                            connection.write_all(&body)?;
                            std::io::Read::read_to_end(&mut connection, &mut answer)
                        });
                        if sent.is_err() || !answer.starts_with(b"HTTP/1.1 201 ") {
                            return;
                        }
                        done.lock().unwrap().insert(path, digest(&body));
                    }
                });
            }
            thread::sleep(Duration::from_millis(30 + round * 17));
            server.kill();
        });
        acknowledged.extend(done.into_inner().unwrap());
    }
    assert!(
        acknowledged.len() > 12,
        "only {} uploads were acknowledged, too few for the test",
        acknowledged.len()
    );
    // Each listed file is complete, acknowledged or not.
    let server = Server::start(storage.path());
    let versions = server.get("/artefacts/hello/").json();
    for version in versions["versions"].as_array().unwrap() {
        let version = version["version"].as_str().unwrap();
        let files = server.get(&format!("/artefacts/hello/{version}/")).json();
        for file in files["files"].as_array().unwrap() {
            let found = server.get(&format!(
                "/artefacts/hello/{version}/{}",
                file["file"].as_str().unwrap()
            ));
            assert_eq!(
                digest(&found.body).to_string(),
                file["sha256"].as_str().unwrap()
            );
        }
    }
}

#[test]
fn twenty_starts_share_one_directory() {
    let mock = Mock::start();
    let app = App::script("echo started");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_DEADLINE", "60s");
    let running: Vec<_> = (0..20).map(|_| bootstrap.spawn()).collect();
    for running in running {
        assert_eq!(running.wait().expect(0).stdout, "started\n");
    }
    assert_eq!(
        mock.requests(&app.path()).len(),
        1,
        "one process downloads the artefact"
    );
}
