//! Downloads that fail, stall, end early or resume.

use std::time::Duration;

use platformer_tests::fixture::{App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};

/// A script of 200,000 bytes.
fn large() -> App {
    App::script(&format!("echo started\n#{}", "x".repeat(200_000)))
}

fn started(bootstrap: &Bootstrap) -> String {
    let ended = bootstrap.run();
    assert_eq!(ended.expect(0).stdout, "started\n");
    ended.stderr
}

#[test]
fn only_transient_statuses_are_retried() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let mock = Mock::start();
        let app = large();
        mock.once(RELEASE, Reply::new(status, ""))
            .once(&app.path(), Reply::new(status, ""));
        app.publish(&mock);
        let log = started(&Bootstrap::of(&mock));
        assert!(log.contains(&format!("{status}")), "{log}");
        assert_eq!(
            (
                mock.requests(RELEASE).len(),
                mock.requests(&app.path()).len()
            ),
            (2, 2),
            "{status}"
        );
    }
    let fatal = [
        (201, 76),
        (206, 76),
        (300, 76),
        (400, 76),
        (401, 77),
        (402, 76),
        (403, 77),
        (404, 66),
        (405, 76),
        (406, 76),
        (409, 76),
        (410, 66),
        (412, 76),
        (416, 76),
        (418, 76),
        (451, 76),
        (501, 76),
        (505, 76),
        (511, 76),
    ];
    for (status, code) in fatal {
        let mock = Mock::start();
        let app = large();
        app.announce(&mock);
        mock.once(&app.path(), Reply::new(status, ""));
        Bootstrap::of(&mock).run().expect(code);
        assert_eq!(mock.requests(&app.path()).len(), 1, "{status}");
    }
}

/// Cuts a reply after a number of bytes.
type Fault = fn(Reply, usize) -> Reply;

#[test]
fn a_cut_download_resumes() {
    let faults: [(&str, Fault); 2] = [
        ("closed", Reply::closed_after),
        ("reset", Reply::reset_after),
    ];
    for (name, fault) in faults {
        let mock = Mock::start();
        let app = large();
        app.announce(&mock);
        mock.once(&app.path(), fault(app.file_reply(), 60_000))
            .once(&app.path(), fault(app.file_reply(), 70_000));
        mock.once(&app.path(), app.file_reply());
        started(&Bootstrap::of(&mock));
        let requests = mock.requests(&app.path());
        assert_eq!(requests[1].headers["range"], "bytes=60000-", "{name}");
        assert_eq!(
            requests[1].headers["if-range"],
            app.digest().etag(),
            "{name}"
        );
        assert_eq!(requests[2].headers["range"], "bytes=130000-", "{name}");
        assert_eq!(
            mock.bytes_sent(&app.path()),
            app.artefact.len(),
            "bytes were sent twice: {name}"
        );
    }
}

#[test]
fn a_stalled_download_is_cancelled_and_resumed() {
    let mock = Mock::start();
    let app = large();
    app.announce(&mock);
    mock.once(&app.path(), app.file_reply().stalled_after(60_000))
        .once(&app.path(), app.file_reply());
    let log = started(&Bootstrap::of(&mock).env("BOOTSTRAP_STALL_TIMEOUT", "300ms"));
    assert!(log.contains("the transfer stalled"), "{log}");
    assert_eq!(
        mock.requests(&app.path())[1].headers["range"],
        "bytes=60000-"
    );
}

#[test]
fn a_truncated_body_is_detected() {
    let mock = Mock::start();
    let app = large();
    let cut = app.artefact[..100].to_vec();
    app.announce(&mock);
    mock.once(&app.path(), Reply::ok(cut))
        .once(&app.path(), app.file_reply());
    let log = started(&Bootstrap::of(&mock));
    assert!(
        log.contains("the server has 100 bytes, but the release says"),
        "{log}"
    );
}

#[test]
fn wrong_bytes_are_downloaded_once_more() {
    let mock = Mock::start();
    let app = large();
    let mut flipped = app.artefact.clone();
    flipped[1000] ^= 1;
    app.announce(&mock);
    mock.once(&app.path(), Reply::file(flipped, &app.digest().etag()))
        .once(&app.path(), app.file_reply());
    let log = started(&Bootstrap::of(&mock));
    assert!(log.contains("fetching it once more"), "{log}");
    assert!(
        !mock.requests(&app.path())[1].headers.contains_key("range"),
        "the second download starts at the first byte"
    );
}

#[test]
fn a_wrong_range_is_rejected() {
    let wrong = [
        "bytes 59999-199999/200025",
        "bytes 60001-200024/200025",
        "bytes 60000-200023/200025",
        "bytes 60000-200024/*",
        "bytes */200025",
        "nonsense",
    ];
    for range in wrong {
        let mock = Mock::start();
        let app = large();
        app.announce(&mock);
        let rest = app.artefact[60_000..].to_vec();
        mock.once(&app.path(), app.file_reply().closed_after(60_000));
        mock.once(
            &app.path(),
            Reply::new(206, rest).header("Content-Range", range),
        );
        mock.once(&app.path(), app.file_reply());
        let log = started(&Bootstrap::of(&mock));
        assert!(log.contains("another range"), "{range}: {log}");
    }
}

#[test]
fn an_ignored_range_or_a_changed_entity_tag_restarts_the_download() {
    // Both servers answer 200 with the whole file: one ignores ranges, and for the other, If-Range does not match.
    for etag in [None, Some("\"another\"")] {
        let mock = Mock::start();
        let app = large();
        app.announce(&mock);
        mock.once(&app.path(), app.file_reply().closed_after(60_000));
        mock.once(
            &app.path(),
            etag.map_or(Reply::ok(app.artefact.clone()), |etag| {
                Reply::file(app.artefact.clone(), etag)
            }),
        );
        started(&Bootstrap::of(&mock));
        assert_eq!(mock.requests(&app.path()).len(), 2);
    }
}

#[test]
fn a_download_without_a_strong_entity_tag_restarts() {
    for etag in [None, Some("W/\"weak\"")] {
        let mock = Mock::start();
        let app = large();
        app.announce(&mock);
        let reply = || {
            etag.map_or(Reply::ok(app.artefact.clone()), |etag| {
                Reply::ok(app.artefact.clone()).header("ETag", etag)
            })
        };
        mock.once(&app.path(), reply().closed_after(60_000))
            .once(&app.path(), reply());
        started(&Bootstrap::of(&mock));
        assert!(!mock.requests(&app.path())[1].headers.contains_key("range"));
    }
}

#[test]
fn a_partial_file_of_an_earlier_start_is_used_only_if_its_bytes_are_right() {
    for poisoned in [false, true] {
        let mock = Mock::start();
        let app = large();
        app.publish(&mock);
        let bootstrap = Bootstrap::of(&mock);
        std::fs::create_dir_all(bootstrap.dir()).unwrap();
        let mut partial = app.artefact[..50_000].to_vec();
        if poisoned {
            partial[10] ^= 1;
        }
        std::fs::write(
            bootstrap.dir().join(format!(".download-{}", app.digest())),
            partial,
        )
        .unwrap();
        started(&bootstrap);
        let requests = mock.requests(&app.path());
        assert_eq!(requests[0].headers["range"], "bytes=50000-");
        assert_eq!(requests.len(), if poisoned { 2 } else { 1 });
    }
}

#[test]
fn retry_after_is_honoured_in_both_forms() {
    let mock = Mock::start();
    let app = large();
    mock.once(RELEASE, Reply::new(503, "").header("Retry-After", "1"));
    app.publish(&mock);
    started(&Bootstrap::of(&mock));
    let requests = mock.requests(RELEASE);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));

    // A date after the deadline ends the start at once.
    let mock = Mock::start();
    mock.always(
        RELEASE,
        Reply::new(429, "").header("Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT"),
    );
    Bootstrap::of(&mock).run().expect(69).says("429");
    assert_eq!(mock.requests(RELEASE).len(), 1);
}

#[test]
fn bootstrap_waits_for_an_app_that_is_published_later() {
    let mock = Mock::start();
    let app = large();
    mock.once(RELEASE, Reply::problem(404, "there is no app hello"));
    app.publish(&mock);
    let log = started(&Bootstrap::of(&mock).env("BOOTSTRAP_WAIT", "true"));
    assert!(log.contains("there is no app hello; attempt 2"), "{log}");
}

#[test]
fn a_size_that_contradicts_the_release_is_refused_after_one_refetch() {
    let mock = Mock::start();
    let app = App {
        size: 10,
        ..large()
    };
    app.announce(&mock);
    mock.always(&app.path(), app.file_reply());
    Bootstrap::of(&mock)
        .run()
        .expect(65)
        .says("but the release says 10");
    assert_eq!(mock.requests(&app.path()).len(), 2);
}

#[test]
fn bootstrap_waits_for_an_artefact_on_a_plain_file_server() {
    let mock = Mock::start();
    let app = large();
    for path in [RELEASE, "/config/_default/_default.config"] {
        mock.always(path, Reply::absent());
    }
    let config = "/config/hello/hello.config";
    mock.once(config, Reply::absent())
        .always(config, Reply::ok("STARTUP_COMMAND='echo started'\n"));
    mock.always(
        "/files/hello/hello.tgz.sha256",
        Reply::ok(app.digest().to_string()),
    );
    mock.once("/files/hello/hello.tgz", Reply::absent());
    mock.always("/files/hello/hello.tgz", Reply::ok("x"));
    // The file appears, but it is not an archive.
    let ended = Bootstrap::of(&mock).env("BOOTSTRAP_WAIT", "true").run();
    ended
        .expect(65)
        .says("waiting for hello: ")
        .says("the artefact is not published yet");
}

#[test]
fn bootstrap_does_not_write_through_a_planted_link() {
    let mock = Mock::start();
    let app = large();
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    std::fs::create_dir_all(bootstrap.dir()).unwrap();
    let victim = bootstrap.home().join("victim");
    let download = bootstrap.dir().join(format!(".download-{}", app.digest()));
    for plant in [
        std::os::unix::fs::symlink::<&std::path::Path, &std::path::Path>,
        std::fs::hard_link,
    ] {
        std::fs::write(&victim, "alive").unwrap();
        plant(&victim, &download).unwrap();
        started(&bootstrap);
        assert_eq!(std::fs::read(&victim).unwrap(), b"alive");
        std::fs::remove_dir_all(bootstrap.dir().join(app.digest().to_string())).unwrap();
    }
}
