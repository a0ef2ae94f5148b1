//! Long polls: who waits is told of what changes, and of nothing else.

use std::thread;
use std::time::{Duration, Instant};

use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::http::Response;
use platformer_tests::s3::S3;
use platformer_tests::server::Server;

const STABLE: &str = "/channels/hello/stable";

fn tag(server: &Server, path: &str) -> String {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.header("etag").unwrap().to_owned()
}

/// Asks as somebody who has what `tag` names, and waits.
fn wait(server: &Server, path: &str, tag: &str, seconds: u32) -> Response {
    let prefer = format!("wait={seconds}");
    server.request(
        "GET",
        path,
        &[("If-None-Match", tag), ("Prefer", &prefer)],
        b"",
    )
}

fn fill(server: &Server) {
    server.publish("/artefacts/hello/1.0.0/f", "x");
    server.publish("/artefacts/hello/1.1.0/f", "y");
    server.publish("/config/_default/_default.config", "A=1\n");
    server.publish("/config/hello/hello.config", "STARTUP_COMMAND=./f\n");
    server.publish(STABLE, "1.0.0");
    server.publish("/channels/hello/next", "1.0.0");
}

/// What is answered at `asked` once `change` was made at `changed`, and how long after.
fn told(
    asked: &Server,
    path: &str,
    changed: &Server,
    change: (&str, &str),
) -> (Response, Duration) {
    let tag = tag(asked, path);
    thread::scope(|scope| {
        let answer = scope.spawn(|| (wait(asked, path, &tag, 60), Instant::now()));
        thread::sleep(Duration::from_millis(300));
        assert!(!answer.is_finished(), "{path} has not changed yet");
        let began = Instant::now();
        changed.publish(change.0, change.1);
        let (answer, at) = answer.join().unwrap();
        (answer, at - began)
    })
}

#[test]
fn a_change_is_told_at_once() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let default = "/config/_default/_default.config";
    for (path, change) in [
        (STABLE, (STABLE, "1.1.0")),
        ("/releases/hello/stable", (STABLE, "1.0.0")),
        (
            "/config/hello/hello.config",
            ("/config/hello/hello.config", "STARTUP_COMMAND=./g\n"),
        ),
        ("/config/hello/", (default, "A=2\n")),
        ("/releases/hello/latest", (default, "A=3\n")),
        (default, (default, "A=4\n")),
        ("/releases/hello/latest", ("/artefacts/hello/1.2.0/f", "z")),
    ] {
        let (answer, _) = told(&server, path, &server, change);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("preference-applied"), Some("wait=60"));
        let now = server.get(path);
        assert_eq!(answer.body, now.body, "{path}");
    }
}

#[test]
fn what_is_nothing_to_them_is_not_told() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let tag = tag(&server, STABLE);
    thread::scope(|scope| {
        let answer = scope.spawn(|| {
            let begin = Instant::now();
            (wait(&server, STABLE, &tag, 2), begin.elapsed())
        });
        for version in ["1.1.0", "1.0.0", "1.1.0"] {
            server.publish("/channels/hello/next", version);
            server.publish("/config/hello/hello.config", format!("A={version}\n"));
        }
        let (answer, elapsed) = answer.join().unwrap();
        assert_eq!(answer.status, 304);
        assert_eq!(answer.header("preference-applied"), Some("wait=2"));
        assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
    });
    // What has changed already, or was never there, is answered at once.
    assert_eq!(wait(&server, STABLE, "\"m0\"", 60).status, 200);
    assert_eq!(
        wait(&server, "/channels/hello/none", "\"m0\"", 60).status,
        404
    );
    assert_eq!(wait(&server, "/config/nobody/", "\"m0\"", 60).status, 404);
}

#[test]
fn a_server_that_is_told_to_stop_lets_them_go() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let tag = tag(&server, STABLE);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&server, STABLE, &tag, 60).status);
        thread::sleep(Duration::from_millis(300));
        server.process().signal(libc::SIGTERM);
        assert_eq!(waiting.join().unwrap(), 304);
    });
    server
        .wait()
        .expect(0)
        .does_not_say("the grace period ended");
}

#[test]
fn what_is_written_at_another_server_is_told_too() {
    let store = S3::moto();
    let (one, two) = (
        Server::start_on(&store, "watching", &[]),
        Server::start_on(&store, "watching", &[]),
    );
    fill(&one);
    for version in ["1.1.0", "1.0.0"] {
        let (answer, _) = told(&one, STABLE, &two, (STABLE, version));
        assert_eq!(answer.status, 200);
    }
}

/// Each of them has a connection, and all are told.
#[test]
fn many_wait() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let tag = tag(&server, STABLE);
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..200)
            .map(|_| scope.spawn(|| wait(&server, STABLE, &tag, 60).status))
            .collect();
        thread::sleep(Duration::from_millis(500));
        assert!(waiting.iter().all(|waits| !waits.is_finished()));
        server.publish(STABLE, "1.1.0");
        for waits in waiting {
            assert_eq!(waits.join().unwrap(), 200);
        }
    });
}

/// From `curl` to the running app.
#[test]
fn a_release_reaches_the_running_app() {
    let (_storage, server) = Server::fresh();
    let app = App::probe("signals 1");
    server.publish(&app.path(), &app.artefact);
    let config = |value: &str| {
        format!("STARTUP_COMMAND='bin/probe signals 1'\nON_CHANGE=signal:HUP\nVALUE={value}\n")
    };
    server.publish("/config/hello/hello.config", config("1"));
    server.publish(STABLE, "1.0.0");
    let running = Bootstrap::with(&["hello@stable", &server.address.to_string()])
        .env("BOOTSTRAP_CHANGE_DEBOUNCE", "50ms")
        .env("BOOTSTRAP_CHANGE_SPLAY", "0s")
        .spawn();
    running.wait_for_stdout("ready");
    // A layer alone is not released.
    server.publish("/config/hello/hello.config", config("2"));
    server.publish(STABLE, "1.0.0");
    running.wait_for_stdout("signal 1");
    running.wait().expect(0).says("hello@stable has changed");
}
