//! What can happen to a transfer.

use std::time::Duration;

use platformer_tests::fixture::{App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};

/// A script of 200,000 bytes that says so.
fn large() -> App {
    App::script(&format!("echo started\n#{}", "x".repeat(200_000)))
}

fn started(bootstrap: &Bootstrap) -> String {
    let ended = bootstrap.run();
    assert_eq!(ended.expect(0).stdout, "started\n");
    ended.stderr
}

#[test]
fn every_transient_status_is_tried_again_and_every_other_is_not() {
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

/// What happens to a reply after so many bytes.
type Fault = fn(Reply, usize) -> Reply;

#[test]
fn a_cut_transfer_goes_on_where_it_stopped() {
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
            "no byte twice: {name}"
        );
    }
}

#[test]
fn a_transfer_that_stands_still_is_given_up_and_resumed() {
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
fn a_body_that_ends_early_without_an_error_is_noticed() {
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
fn wrong_bytes_are_fetched_once_more() {
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
        "from the first byte on"
    );
}

#[test]
fn a_wrong_range_is_not_taken() {
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
fn an_ignored_range_and_a_changed_entity_tag_begin_anew() {
    // Both are answered with 200 and the whole: one always, one because If-Range does not match.
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
fn without_a_strong_entity_tag_nothing_is_resumed() {
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
fn a_partial_file_of_an_earlier_start_is_used_if_it_is_right_and_discarded_if_not() {
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

    // A date in the far future is past the deadline: there is no sense in waiting.
    let mock = Mock::start();
    mock.always(
        RELEASE,
        Reply::new(429, "").header("Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT"),
    );
    Bootstrap::of(&mock).run().expect(69).says("429");
    assert_eq!(mock.requests(RELEASE).len(), 1);
}

#[test]
fn waiting_for_an_app_that_is_published_later() {
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
fn waiting_works_with_a_plain_file_server_too() {
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
    // What it waits for is there in the end; that it is no archive is another matter.
    let ended = Bootstrap::of(&mock).env("BOOTSTRAP_WAIT", "true").run();
    ended
        .expect(65)
        .says("waiting for hello: ")
        .says("the artefact is not published yet");
}

#[test]
fn a_planted_link_is_not_written_through() {
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
