//! Publishing over HTTP.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use platformer_tests::fixture::digest;
use platformer_tests::http;
use platformer_tests::server::Server;

const PATH: &str = "/artefacts/hello/1.0.0/hello-1.0.0.tar.gz";

#[test]
fn the_same_bytes_get_200_and_other_bytes_get_409() {
    let (_storage, server) = Server::fresh();
    let first = server.put(PATH, "bytes");
    assert_eq!(first.status, 201);
    assert_eq!(first.text(), digest(b"bytes").line("hello-1.0.0.tar.gz"));
    assert_eq!(first.header("location"), Some(PATH));
    assert_eq!(server.put(PATH, "bytes").status, 200);
    let other = server.put(PATH, "other");
    assert_eq!(other.status, 409);
    for named in [digest(b"bytes"), digest(b"other")] {
        assert!(other.detail().contains(&named.to_string()));
    }
    assert_eq!(server.get(PATH).body, b"bytes");
    assert_eq!(server.put("/artefacts/hello/1.0.0/empty", "").status, 201);
    assert_eq!(server.get("/artefacts/hello/1.0.0/empty").body, b"");
}

#[test]
fn memory_does_not_grow_with_file_size() {
    let (_storage, server) = Server::fresh();
    let peak = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.process().pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim()
            .strip_suffix(" kB")
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap()
            / 1024
    };
    server.publish("/artefacts/hello/1.0.0/small", vec![1; 32 << 20]);
    server.get("/artefacts/hello/1.0.0/small");
    let before_mib = peak();
    let size = 512_u64 << 20;
    let head = format!(
        "PUT /artefacts/hello/1.0.0/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    );
    let mut connection = TcpStream::connect(server.address).unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(7), size),
        &mut connection,
    )
    .unwrap();
    assert_eq!(http::read(&mut connection, false).status, 201);
    connection.write_all(b"GET /artefacts/hello/1.0.0/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let received = std::io::copy(&mut connection, &mut std::io::sink()).unwrap();
    assert!(received > size);
    let grown_mib = peak().saturating_sub(before_mib);
    assert!(
        grown_mib < 16,
        "{grown_mib} MiB more for sixteen times the bytes"
    );
}

#[test]
fn sidecars_are_generated_and_compared() {
    let (_storage, server) = Server::fresh();
    let sidecar = format!("{PATH}.sha256");
    assert_eq!(
        server.put(&sidecar, digest(b"bytes").to_string()).status,
        404,
        "before the artefact"
    );
    server.publish(PATH, "bytes");
    assert_eq!(
        server.get(&sidecar).text(),
        digest(b"bytes").line("hello-1.0.0.tar.gz")
    );
    assert_eq!(
        server
            .put(&sidecar, digest(b"bytes").line("any-name"))
            .status,
        200
    );
    assert_eq!(
        server
            .put(&sidecar, digest(b"other").line("any-name"))
            .status,
        409
    );
    assert_eq!(server.put(&sidecar, "nonsense").status, 400);
}

#[test]
fn digests_that_do_not_match_are_refused() {
    let (_storage, server) = Server::fresh();
    let (right, wrong) = (digest(b"bytes"), digest(b"other"));
    let put = |headers: &[(&str, &str)]| server.request("PUT", PATH, headers, b"bytes");
    assert_eq!(
        put(&[("X-Checksum-Sha256", &wrong.to_string())]).status,
        400
    );
    assert_eq!(put(&[("Repr-Digest", &wrong.field())]).status, 400);
    assert_eq!(put(&[("Content-Digest", "nonsense")]).status, 400);
    assert_eq!(put(&[("Content-Range", "bytes 0-4/5")]).status, 400);
    assert_eq!(server.get(PATH).status, 404, "nothing was published");
    assert_eq!(
        put(&[("X-Checksum-Sha256", &right.to_string())]).status,
        201
    );
    assert_eq!(
        put(&[("Repr-Digest", &wrong.field())]).status,
        409,
        "told before the body"
    );
}

#[test]
fn declared_digests_are_checked_on_every_upload() {
    let (_storage, server) = Server::fresh();
    server.publish(PATH, "bytes");
    let wrong = digest(b"other").to_string();
    for (path, body) in [
        ("/artefacts/hello/1.0.0/g", "x"),
        ("/config/hello/hello.config", "A=1\n"),
        ("/channels/hello/stable", "1.0.0"),
    ] {
        for (headers, status) in [
            (&[("X-Checksum-Sha256", wrong.as_str())][..], 400),
            (&[("Content-Range", "bytes 0-1/2")], 400),
            (&[("Content-Encoding", "gzip")], 415),
        ] {
            let response = server.request("PUT", path, headers, body.as_bytes());
            assert_eq!(response.status, status, "{path} {headers:?}");
        }
        assert_eq!(
            server.put(path, body).status,
            201,
            "nothing was written before: {path}"
        );
    }
    let head = "PUT /config/hello/hello.config HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5000000000\r\n\r\n";
    let mut connection = TcpStream::connect(server.address).unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        http::read(&mut connection, false).status,
        413,
        "and no 100 before it"
    );
}

#[test]
fn a_client_that_disconnects_publishes_all_or_nothing() {
    let (storage, server) = Server::fresh();
    for number in 0..150_u64 {
        let mut connection = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "PUT /artefacts/hello/1.0.{number}/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nbytes"
        );
        connection.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(number * 30));
        drop(connection);
    }
    let count = |directory: &str| {
        let found = std::fs::read_dir(storage.path().join(directory))
            .into_iter()
            .flatten()
            .flatten();
        found.count()
    };
    let listed = || {
        server.get("/artefacts/hello/").json()["versions"]
            .as_array()
            .map_or(0, Vec::len)
    };
    // After the last upload has ended, memory, log and blobs agree.
    platformer_tests::run::eventually("all is at rest", || {
        let (versions, entries, blobs) = (listed(), count("apps/hello/log"), count("blobs"));
        versions > 0 && versions == entries && entries == blobs
    });
    let before = listed();
    server.stop().expect(0);
    let server = Server::start(storage.path());
    assert_eq!(
        server.get("/artefacts/hello/").json()["versions"]
            .as_array()
            .unwrap()
            .len(),
        before
    );
}

#[test]
fn names_are_checked_first() {
    let (storage, server) = Server::fresh();
    for (path, text) in [
        ("/artefacts/hello/v1.0.0/f", "write 1.0.0"),
        ("/artefacts/hello/abcdef12/f", "commit ids have no order"),
        ("/artefacts/Hello/1.0.0/f", "isn't an app name"),
        ("/artefacts/../1.0.0/f", "isn't an app name"),
        ("/artefacts/hello/1.0.0/..", "isn't a file name"),
        ("/artefacts/hello/1.0.0/%2e%2e", "isn't a file name"),
        ("/artefacts/hello/1.0.0/a%2fb", "isn't a file name"),
        ("/artefacts/hello/1.0.0/a%00b", "isn't a file name"),
        ("/artefacts/hello/1.0.0/a%252fb", "isn't a file name"),
        ("/artefacts/hello/1.0.0/.hidden", "isn't a file name"),
        ("/artefacts/hello/1.0.0/a.minisig", "sidecar"),
        ("/artefacts/hello/1.0.0/%79anked", "isn't a file name"),
    ] {
        let response = server.put(path, "bytes");
        assert_eq!(response.status, 400, "{path}: {}", response.text());
        assert!(
            response.detail().contains(text),
            "{path}: {}",
            response.detail()
        );
    }
    for path in ["/artefacts/hello/1.0.0/", "/artefacts/hello/1.0.0"] {
        let nameless = server.put(path, "bytes");
        assert_eq!(nameless.status, 405, "{path}");
        assert!(nameless.detail().contains("has no file name"), "{path}");
        assert!(nameless.header("allow").is_some());
    }
    assert_eq!(server.put("/artefacts/hello/1.0.0/%ff", "x").status, 400);
    assert_eq!(server.put("/nowhere", "x").status, 404);
    assert_eq!(server.request("POST", PATH, &[], b"x").status, 405);
    let long = format!("/artefacts/hello/1.0.0/{}", "x".repeat(255));
    assert_eq!(
        server.put(&long, "bytes").status,
        201,
        "the longest name there is"
    );
    assert_eq!(server.get(&long).body, b"bytes");
    drop(storage);
}

#[test]
fn size_limits_apply_before_and_during_the_body() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("MAX_UPLOAD", "1KiB")]);
    assert_eq!(server.put(PATH, vec![0; 1025]).status, 413);
    assert_eq!(server.put(PATH, vec![0; 1024]).status, 201);
    // In a chunked upload, the length is unknown before the body.
    let mut bytes = b"PUT /artefacts/hello/1.0.1/f HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..3 {
        bytes.extend_from_slice(b"200\r\n");
        bytes.extend_from_slice(&[0; 512]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(http::raw(server.address, &bytes, false).status, 413);
    assert_eq!(server.get("/artefacts/hello/1.0.1/f").status, 404);
}

#[test]
fn a_refused_upload_with_expect_continue_sends_no_body() {
    let (_storage, server) = Server::fresh();
    server.publish(PATH, "bytes");
    let head = format!(
        "PUT {PATH} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nX-Checksum-Sha256: {}\r\nContent-Length: 1000000\r\n\r\n",
        digest(b"other")
    );
    let mut connection = TcpStream::connect(server.address).unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        http::read(&mut connection, false).status,
        409,
        "and no 100 before it"
    );
}

#[test]
fn a_refused_upload_gets_the_answer_and_no_reset() {
    let (_storage, server) = Server::fresh();
    server.publish(PATH, "bytes");
    let wrong = digest(b"other").to_string();
    // More than the socket buffers hold. The client sends all before it reads the answer.
    let response = server.request(
        "PUT",
        PATH,
        &[("X-Checksum-Sha256", &wrong)],
        &vec![0; 20 << 20],
    );
    assert_eq!(response.status, 409);
}

#[test]
fn incomplete_heads_and_bodies_time_out() {
    let storage = tempfile::tempdir().unwrap();
    let settings = [("HEADER_TIMEOUT", "300ms"), ("STALL_TIMEOUT", "300ms")];
    let server = Server::start_with(storage.path(), &settings);
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    silent.write_all(b"PUT /art").unwrap();
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut silent, &mut rest).expect("the server closes it");

    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(
        format!("PUT {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(http::read(&mut slow, false).status, 408);
    assert_eq!(server.get(PATH).status, 404);
}

#[test]
fn an_interrupted_upload_publishes_nothing() {
    let (storage, server) = Server::fresh();
    for _ in 0..5 {
        let mut connection = TcpStream::connect(server.address).unwrap();
        let head =
            format!("PUT {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf");
        connection.write_all(head.as_bytes()).unwrap();
        drop(connection);
    }
    assert_eq!(server.get(PATH).status, 404);
    assert_eq!(server.put(PATH, "whole").status, 201);
    let blobs = || {
        std::fs::read_dir(storage.path().join("blobs"))
            .unwrap()
            .count()
    };
    platformer_tests::run::eventually("only what was published is left", || blobs() == 1);
}
