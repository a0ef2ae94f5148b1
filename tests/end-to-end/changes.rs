//! `ON_CHANGE`: the app is signalled or stopped after a new release or config.

use std::fs;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use platformer_tests::fixture::{App, Bootstrap, RELEASE, digest};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::{self, Running, eventually};

/// A mock whose release document clients can watch with a long poll.
struct Repository {
    mock: Mock,
    /// The document's entity tag, and the reply that sends it.
    document: Arc<Mutex<(String, Reply)>>,
}

impl Deref for Repository {
    type Target = Mock;

    fn deref(&self) -> &Mock {
        &self.mock
    }
}

impl Repository {
    fn start() -> Self {
        let document = Arc::new(Mutex::new((String::new(), Reply::absent())));
        let current = Arc::clone(&document);
        let mock = Mock::start();
        let long_poll = Reply::from_fn(move |request, connection| {
            let prefer = request.header("prefer");
            let wait: Option<u64> =
                prefer.and_then(|text| text.strip_prefix("wait=")?.parse().ok());
            let deadline = Instant::now() + Duration::from_secs(wait.unwrap_or(0));
            loop {
                let (etag, reply) = current.lock().unwrap().clone();
                if request.header("if-none-match") != Some(&etag) {
                    return reply.send(request, connection);
                }
                if Instant::now() >= deadline {
                    if let Some(wait) = wait {
                        connection.header("Preference-Applied", &format!("wait={wait}"));
                    }
                    return connection.send(304, b"");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        mock.always(RELEASE, long_poll);
        Self { mock, document }
    }

    fn set(&self, etag: &str, reply: Reply) {
        *self.document.lock().unwrap() = (etag.to_owned(), reply);
    }
}

fn announce(app: &App, repository: &Repository) {
    let body = serde_json::to_vec(&app.document()).unwrap();
    let etag = digest(&body).etag();
    repository.set(&etag, Reply::ok(body).header("ETag", &etag));
}

fn app(config: &str) -> App {
    App::probe("signals 1").with_config(&format!("STARTUP_COMMAND='bin/probe signals 1'\n{config}"))
}

/// Starts an app and waits for the first long poll of the watcher.
fn start_watched(
    mock: &Repository,
    on_change: &str,
    settings: &[(&str, &str)],
) -> (Bootstrap, Running) {
    let app = app("A=1\n");
    announce(&app, mock);
    mock.always(&app.path(), app.file_reply());
    let mut bootstrap = Bootstrap::of(mock)
        .env("BOOTSTRAP_ON_CHANGE", on_change)
        .env("BOOTSTRAP_CHANGE_DEBOUNCE", "100ms")
        .env("BOOTSTRAP_CHANGE_SPLAY", "10ms");
    for (name, value) in settings {
        bootstrap = bootstrap.env(name, *value);
    }
    let running = bootstrap.spawn();
    running.wait_for_stdout("ready");
    eventually("the watcher waits for a change", || {
        let waits = |request: &platformer_tests::mock::Request| {
            request.headers.contains_key("prefer") && request.headers.contains_key("if-none-match")
        };
        mock.requests(RELEASE).iter().any(waits)
    });
    (bootstrap, running)
}

fn watcher_of(running: &Running) -> i32 {
    child_of(running, true)
}

/// The watcher, or the app.
fn child_of(running: &Running, is_watcher: bool) -> i32 {
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let children = fs::read_to_string(children).unwrap();
    children
        .split_whitespace()
        .find(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            command.ends_with(b"_watch\0") == is_watcher
        })
        .expect("a child")
        .parse()
        .unwrap()
}

#[test]
fn a_change_signals_the_app() {
    let mock = Repository::start();
    let (_bootstrap, running) = start_watched(&mock, "signal:HUP", &[]);
    announce(&app("A=2\n"), &mock);
    running.wait_for_stdout("signal 1");
    let ended = running.wait();
    ended.expect(0).says("hello has changed");
}

#[test]
fn a_change_stops_the_app() {
    let mock = Repository::start();
    let (_bootstrap, running) = start_watched(&mock, "exit", &[("BOOTSTRAP_STOP_SIGNAL", "USR1")]);
    announce(&app("A=2\n"), &mock);
    running.wait_for_stdout(&format!("signal {}", libc::SIGUSR1));
    running.wait().expect(0);
}

#[test]
fn the_config_can_set_on_change() {
    let mock = Repository::start();
    let first = app("ON_CHANGE=signal:USR2\n");
    announce(&first, &mock);
    mock.always(&first.path(), first.file_reply());
    let running = Bootstrap::of(&mock)
        .env("BOOTSTRAP_CHANGE_DEBOUNCE", "50ms")
        .env("BOOTSTRAP_CHANGE_SPLAY", "0s")
        .spawn();
    running.wait_for_stdout("ready");
    announce(&app("ON_CHANGE=signal:USR2\nA=2\n"), &mock);
    running.wait_for_stdout(&format!("signal {}", libc::SIGUSR2));
    running.wait().expect(0);
}

/// A comment is not a change. Neither is a change that is reverted within the debounce period.
#[test]
fn comments_and_reverted_changes_are_ignored() {
    let mock = Repository::start();
    let (_bootstrap, running) = start_watched(
        &mock,
        "signal:HUP",
        &[("BOOTSTRAP_CHANGE_DEBOUNCE", "500ms")],
    );
    let asked_again = |config: &str, times: usize| {
        let before = mock.requests(RELEASE).len();
        announce(&app(config), &mock);
        eventually("the watcher polls again", || {
            mock.requests(RELEASE).len() >= before + times
        });
    };
    asked_again("# the same\nA=1\n", 1);
    asked_again("A=1\n# still the same\n", 1);
    let before = mock.bytes_sent(RELEASE);
    announce(&app("A=2\n"), &mock);
    eventually("the change is sent", || mock.bytes_sent(RELEASE) > before);
    // Reverts the change before the debounce period ends.
    announce(&app("A=1\n"), &mock);
    running.wait_for_stderr("changed back");
    assert!(!running.stderr_so_far().contains("has changed"));
    // The watcher still works.
    let begin = Instant::now();
    announce(&app("A=3\n"), &mock);
    running.wait_for_stdout("signal 1");
    assert!(
        begin.elapsed() >= Duration::from_millis(500),
        "the signal came before the debounce period ended"
    );
    running.wait().expect(0);
}

#[test]
fn the_app_survives_an_unavailable_or_faulty_repository() {
    let mock = Repository::start();
    let (_bootstrap, running) = start_watched(&mock, "signal:HUP", &[]);
    mock.set("", Reply::new(503, ""));
    running.wait_for_stderr("failed to watch hello for changes");
    announce(&app("A=2\n"), &mock);
    running.wait_for_stdout("signal 1");
    running.wait().expect(0).says("answers again");
}

#[test]
fn the_app_cannot_read_the_token() {
    let mock = Repository::start();
    let (_bootstrap, running) =
        start_watched(&mock, "signal:HUP", &[("BOOTSTRAP_TOKEN", "canary-7391")]);
    let watcher = watcher_of(&running);
    let has_token = mock.requests(RELEASE).iter().all(|request| {
        request
            .headers
            .get("authorization")
            .is_some_and(|value| value == "Bearer canary-7391")
    });
    assert!(has_token, "the watcher does not send the token");
    for pid in [running.pid(), watcher] {
        for file in ["environ", "cmdline"] {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap();
            assert!(
                !String::from_utf8_lossy(&text).contains("canary"),
                "{pid} {file}"
            );
        }
    }
    for descriptor in fs::read_dir(format!("/proc/{watcher}/fd"))
        .unwrap()
        .flatten()
    {
        let target = fs::read_link(descriptor.path()).unwrap();
        assert!(
            !target.to_string_lossy().contains("memfd"),
            "{}",
            target.display()
        );
    }
    running.signal(libc::SIGTERM);
    running.wait().expect(0);
}

#[test]
fn the_watcher_exits_with_the_init() {
    let mock = Repository::start();
    let (_bootstrap, running) = start_watched(&mock, "exit", &[]);
    let watcher = watcher_of(&running);
    let app = child_of(&running, false);
    running.signal(libc::SIGKILL);
    running.wait().expect(137);
    run::kill(app, libc::SIGKILL);
    eventually("the watcher has exited", || {
        !std::path::Path::new(&format!("/proc/{watcher}")).exists()
            || fs::read_to_string(format!("/proc/{watcher}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "))
    });
}

#[test]
fn an_invalid_or_unsupported_on_change_is_refused() {
    let mock = Mock::start();
    let app = app("");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    for bad in ["sometimes", "signal:NOPE", "signal:"] {
        bootstrap
            .run_with("BOOTSTRAP_ON_CHANGE", bad)
            .expect(64)
            .says("BOOTSTRAP_ON_CHANGE");
    }
    let bootstrap = bootstrap.env("BOOTSTRAP_MODE", "exec");
    bootstrap
        .run_with("BOOTSTRAP_ON_CHANGE", "exit")
        .expect(64)
        .says("BOOTSTRAP_MODE=exec");
}
