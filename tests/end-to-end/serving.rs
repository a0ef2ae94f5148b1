//! The server process: settings, access, start and stop.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use platformer_tests::binaries;
use platformer_tests::http;
use platformer_tests::ports;
use platformer_tests::run::{self, eventually};
use platformer_tests::server::Server;

#[test]
fn data_survives_a_restart() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    server.publish("/artefacts/hello/1.0.0/hello-1.0.0.tar.gz", "one");
    server.publish("/artefacts/hello/2.0.0/hello-2.0.0.tar.gz", "two");
    server.publish("/config/_default/_default.config", "A=1\n");
    server.publish("/config/hello/hello.config", "B=1\n");
    server.publish("/config/hello/production.config", "C=1\n");
    server.publish("/channels/hello/stable", "1.0.0");
    server.request("DELETE", "/artefacts/hello/2.0.0", &[], b"");
    let paths = [
        "/artefacts/",
        "/artefacts/hello/",
        "/artefacts/hello/1.0.0/",
        "/artefacts/hello/1.0.0/hello-1.0.0.tar.gz",
        "/config/hello/?environment=production",
        "/releases/hello/",
        "/releases/hello/stable?environment=production",
        "/channels/hello/stable/history",
    ];
    let before: Vec<String> = paths.iter().map(|path| server.get(path).text()).collect();
    let ended = server.stop();
    ended.expect(0).says("stopping");
    let server = Server::start(storage.path());
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(server.get(path).text(), before, "{path}");
    }
    assert_eq!(
        server.put("/artefacts/hello/1.0.0/late", "x").status,
        409,
        "the version is still sealed"
    );
    assert_eq!(
        server.put("/channels/hello/stable", "1.0.0").status,
        200,
        "the channel is unchanged"
    );
}

/// Sends the first half of an upload, after the server has asked for the body.
fn half_an_upload(server: &Server) -> TcpStream {
    let mut upload = TcpStream::connect(server.address).unwrap();
    upload.write_all(b"PUT /artefacts/hello/1.0.0/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n").unwrap();
    let mut interim = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    upload.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    upload.write_all(b"01234").unwrap();
    upload
}

#[test]
fn requests_in_progress_finish_during_the_grace_period() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    let mut upload = half_an_upload(&server);
    server.process().signal(libc::SIGTERM);
    server.process().wait_for_stderr("stopping");
    assert!(
        TcpStream::connect(server.address).is_err(),
        "the server accepts new connections"
    );
    upload.write_all(b"56789").unwrap();
    assert_eq!(http::read(&mut upload, false).status, 201);
    server.wait().expect(0);
}

#[test]
fn the_grace_period_ends() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("GRACE_PERIOD", "200ms")]);
    let _upload = half_an_upload(&server);
    server.stop().expect(0).says("grace period ended");
}

#[test]
fn probes_and_the_healthcheck() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let check = |address: String| {
        let environment = [("REPOSITORY_LISTEN".into(), address.into())];
        run::spawn(&binaries::repository(), &["healthcheck"], &environment).wait()
    };
    check(server.address.to_string()).expect(0);
    check(format!("0.0.0.0:{}", server.address.port())).expect(0);
    // Readiness follows the availability of the store.
    let (apps, gone) = (storage.path().join("apps"), storage.path().join("gone"));
    fs::rename(&apps, &gone).unwrap();
    eventually("the server is not ready", || {
        server.get("/readyz").status == 503
    });
    check(server.address.to_string())
        .expect(1)
        .says("503 Service Unavailable");
    assert_eq!(server.get("/healthz").status, 200);
    fs::rename(&gone, &apps).unwrap();
    eventually("the server is ready", || {
        server.get("/readyz").status == 200
    });
    server.stop().expect(0);
    check("127.0.0.1:1".to_owned())
        .expect(1)
        .says("nothing listens on 127.0.0.1:1");
}

#[test]
fn on_a_loopback_address_only_local_requests_are_allowed() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    let path = "/artefacts/hello/1.0.0/f";
    for headers in [
        &[("Host", "evil.example")][..],
        &[("X-Forwarded-For", "10.0.0.1")],
        &[("X-Forwarded-Proto", "http")],
        &[("Forwarded", "for=10.0.0.1")],
        &[("Origin", "http://evil.example")],
    ] {
        for method in ["PUT", "GET"] {
            let response = server.request(method, path, headers, b"x");
            assert_eq!(response.status, 403, "{method} {headers:?}");
            assert!(response.detail().contains("REPOSITORY_ANONYMOUS_WRITES"));
        }
        assert_eq!(
            server.request("GET", "/healthz", headers, b"").status,
            200,
            "health checks are always allowed"
        );
    }
    assert_eq!(
        server
            .request("PUT", path, &[("Host", "localhost:1")], b"x")
            .status,
        201
    );
    for hosts in ["", "Host: localhost\r\nHost: evil.example\r\n"] {
        let bytes = format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert_eq!(
            http::raw(server.address, bytes.as_bytes(), false).status,
            400,
            "{hosts:?}"
        );
    }
}

#[test]
fn one_process_uses_the_directory() {
    let storage = tempfile::tempdir().unwrap();
    let first = Server::start(storage.path());
    let environment = [
        ("REPOSITORY_LISTEN".into(), "127.0.0.1:0".into()),
        (
            "REPOSITORY_STORAGE".into(),
            format!("file://{}", storage.path().display()).into(),
        ),
    ];
    let second = run::spawn::<&str>(&binaries::repository(), &[], &environment);
    // The second process waits, because a container that it replaces may still be stopping.
    std::thread::sleep(std::time::Duration::from_millis(300));
    first.stop().expect(0);
    second.wait_for_stderr("repository is ready");
    let third = run::spawn::<&str>(&binaries::repository(), &[], &environment).wait();
    third.expect(1).says("another repository uses it");
}

#[test]
fn leftovers_of_a_killed_process_are_deleted() {
    let storage = tempfile::tempdir().unwrap();
    Server::start(storage.path()).stop().expect(0);
    let leftover = storage.path().join("uploads/0190abc");
    std::fs::write(&leftover, "half").unwrap();
    let stray = storage.path().join("note.json");
    std::fs::write(&stray, "a note").unwrap();
    Server::start(storage.path())
        .stop()
        .expect(0)
        .says("deleted unfinished uploads of an earlier process");
    assert!(!leftover.exists());
    assert!(stray.exists(), "other files stay");
}

#[test]
fn on_other_addresses_writes_need_a_token_or_a_setting() {
    let storage = tempfile::tempdir().unwrap();
    for (setting, status) in [("false", 401), ("true", 201)] {
        let settings = [("LISTEN", "0.0.0.0:0"), ("ANONYMOUS_WRITES", setting)];
        let server = Server::start_with(storage.path(), &settings);
        let address = (std::net::Ipv4Addr::LOCALHOST, server.address.port()).into();
        for (method, path) in [
            ("PUT", "/artefacts/hello/1.0.0/f"),
            ("PUT", "/config/hello/hello.config"),
        ] {
            assert_eq!(
                http::request(address, method, path, &[], b"A=1\n").status,
                status,
                "{path}"
            );
        }
        if status == 401 {
            for (method, path) in [
                ("PUT", "/channels/hello/stable"),
                ("DELETE", "/artefacts/hello/1.0.0"),
                ("PUT", "/artefacts/hello/1.0.0/yanked"),
            ] {
                assert_eq!(
                    http::request(address, method, path, &[], b"1.0.0").status,
                    401,
                    "{method} {path}"
                );
            }
            assert_eq!(
                http::get(address, "/artefacts/").status,
                200,
                "reads are open"
            );
        } else {
            assert!(
                server
                    .process()
                    .stderr_so_far()
                    .contains("anyone who can reach this address may publish")
            );
        }
    }
}

#[test]
fn bad_settings_stop_the_start() {
    let start = |name: &str, value: &str| {
        let environment = [(name.to_owned().into(), value.to_owned().into())];
        run::spawn::<&str>(&binaries::repository(), &[], &environment).wait()
    };
    start("REPOSITORY_LISTEN", "hunter2")
        .expect(1)
        .says("REPOSITORY_LISTEN")
        .does_not_say("hunter2");
    start("REPOSITORY_STORAGE", "s3:bucket")
        .expect(1)
        .says("REPOSITORY_STORAGE");
    start("REPOSITORY_STORAGE", "file:///proc/nowhere")
        .expect(1)
        .says("failed to open the storage directory");
    let usage = run::spawn(&binaries::repository(), &["nonsense"], &[]).wait();
    usage.expect(1).says("repository --help");
}

#[test]
fn a_damaged_log_entry_affects_one_app() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    server.publish("/config/hello/hello.config", "B=1\n");
    server.publish("/config/other/other.config", "B=1\n");
    server.stop().expect(0);
    let entry = storage.path().join("apps/hello/log/0000000001.json");
    std::fs::write(&entry, "{").unwrap();
    let server = Server::start(storage.path());
    for (path, status) in [
        ("/config/hello/hello.config", 500),
        ("/config/other/other.config", 200),
    ] {
        assert_eq!(server.get(path).status, status, "{path}");
    }
    assert_eq!(server.put("/artefacts/hello/1.0.0/f", "x").status, 500);
    server
        .stop()
        .expect(0)
        .says("apps/hello/log/0000000001.json is damaged");
}

#[test]
fn metrics_for_prometheus() {
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "x");
    for _ in 0..3 {
        server.get("/artefacts/hello/1.0.0/f");
        server.get("/artefacts/hello/1.0.1/f");
    }
    let answer = server.get("/metrics");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = answer.text();
    for line in [
        "repository_requests_total{method=\"GET\",status=\"200\"} 3",
        "repository_requests_total{method=\"GET\",status=\"404\"} 3",
        "repository_requests_total{method=\"PUT\",status=\"201\"} 1",
        "repository_request_seconds_count{method=\"GET\"} 6",
        "repository_long_polls 0",
        "repository_tokens_refused_total 0",
        "repository_check_findings 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let metric = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().trim().parse::<u64>().unwrap()
    };
    assert!(metric("repository_resident_memory_bytes ") > 1 << 20);
    assert!(metric("repository_open_files ") > 5);
    assert!(metric("repository_connections ") >= 1);
}

/// Starts a server whose log goes to `log`.
fn start_with_log(storage: &Path, log: Stdio) -> (std::process::Child, SocketAddr) {
    let address = ports::free();
    let server = std::process::Command::new(binaries::repository())
        .env_clear()
        .env(
            "REPOSITORY_STORAGE",
            format!("file://{}", storage.display()),
        )
        .env("REPOSITORY_LISTEN", address.to_string())
        .stderr(log)
        .spawn()
        .unwrap();
    eventually("the server answers", || {
        http::try_request(address, "GET", "/readyz", &[], b"").is_some()
    });
    (server, address)
}

fn stop(mut server: std::process::Child) {
    assert!(
        server.try_wait().unwrap().is_none(),
        "the server has exited"
    );
    run::kill(i32::try_from(server.id()).unwrap(), libc::SIGTERM);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_server_survives_a_log_on_a_full_disk() {
    let storage = tempfile::tempdir().unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let (server, address) = start_with_log(storage.path(), full.into());
    let put = http::put(address, "/artefacts/hello/1.0.0/f", b"x");
    assert_eq!(put.status, 201);
    assert_eq!(http::get(address, "/artefacts/hello/1.0.0/f").text(), "x");
    stop(server);
}

/// The reader of the log stalls, and then closes the pipe.
#[test]
fn a_log_without_a_reader_does_not_block_requests() {
    let storage = tempfile::tempdir().unwrap();
    let (mut server, address) = start_with_log(storage.path(), Stdio::piped());
    // More lines than the pipe and the server's queue of 4096 hold.
    let path = format!("/artefacts/hello/1.0.0/{}", "x".repeat(3000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1200 {
                    assert_eq!(http::get(address, &path).status, 400);
                }
            });
        }
    });
    assert_eq!(http::get(address, "/healthz").status, 200);
    let mut log = server.stderr.take().unwrap();
    let mut read = vec![0; 1 << 20];
    let mut text = String::new();
    eventually("the log reports the dropped lines", || {
        http::get(address, "/artefacts/");
        let length = log.read(&mut read).unwrap();
        text.push_str(&String::from_utf8_lossy(&read[..length]));
        text.contains(" lines of the log were dropped")
    });
    drop(log);
    for _ in 0..3 {
        assert_eq!(http::get(address, "/artefacts/").status, 200);
    }
    stop(server);
}
