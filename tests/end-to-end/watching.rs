//! Long polls: a request that waits is answered when its resource changes.

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

/// Sends a long poll of a client that has the state `tag`.
fn long_poll(server: &Server, path: &str, tag: &str, seconds: u32) -> Response {
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

/// Sends a long poll to `asked`, then a change to `changed`. Returns the answer of the poll and the delay.
fn poll_during_change(
    asked: &Server,
    path: &str,
    changed: &Server,
    change: (&str, &str),
) -> (Response, Duration) {
    let tag = tag(asked, path);
    thread::scope(|scope| {
        let answer = scope.spawn(|| (long_poll(asked, path, &tag, 60), Instant::now()));
        thread::sleep(Duration::from_millis(300));
        assert!(!answer.is_finished(), "{path} has not changed yet");
        let began = Instant::now();
        changed.publish(change.0, change.1);
        let (answer, at) = answer.join().unwrap();
        (answer, at - began)
    })
}

#[test]
fn a_change_answers_a_long_poll_at_once() {
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
        let (answer, _) = poll_during_change(&server, path, &server, change);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("preference-applied"), Some("wait=60"));
        let now = server.get(path);
        assert_eq!(answer.body, now.body, "{path}");
    }
}

#[test]
fn other_changes_do_not_answer_a_long_poll() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let tag = tag(&server, STABLE);
    thread::scope(|scope| {
        let answer = scope.spawn(|| {
            let begin = Instant::now();
            (long_poll(&server, STABLE, &tag, 2), begin.elapsed())
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
    // A resource that has changed already, or does not exist, is answered at once.
    assert_eq!(long_poll(&server, STABLE, "\"m0\"", 60).status, 200);
    assert_eq!(
        long_poll(&server, "/channels/hello/none", "\"m0\"", 60).status,
        404
    );
    assert_eq!(
        long_poll(&server, "/config/unknown/", "\"m0\"", 60).status,
        404
    );
}

#[test]
fn a_server_that_stops_answers_long_polls() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let tag = tag(&server, STABLE);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| long_poll(&server, STABLE, &tag, 60).status);
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
fn a_change_on_another_replica_answers_a_long_poll() {
    let store = S3::moto();
    let (one, two) = (
        Server::start_on(&store, "watching", &[]),
        Server::start_on(&store, "watching", &[]),
    );
    fill(&one);
    for version in ["1.1.0", "1.0.0"] {
        let (answer, _) = poll_during_change(&one, STABLE, &two, (STABLE, version));
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn a_change_answers_200_long_polls() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let tag = tag(&server, STABLE);
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..200)
            .map(|_| scope.spawn(|| long_poll(&server, STABLE, &tag, 60).status))
            .collect();
        thread::sleep(Duration::from_millis(500));
        assert!(waiting.iter().all(|poll| !poll.is_finished()));
        server.publish(STABLE, "1.1.0");
        for poll in waiting {
            assert_eq!(poll.join().unwrap(), 200);
        }
    });
}

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
    // The app follows the channel, so a new layer takes effect with the next release.
    server.publish("/config/hello/hello.config", config("2"));
    server.publish(STABLE, "1.0.0");
    running.wait_for_stdout("signal 1");
    running.wait().expect(0).says("hello@stable has changed");
}
