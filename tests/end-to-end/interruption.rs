//! A signal ends a start at once, at any stage.

use std::time::{Duration, Instant};

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::{Running, eventually};

/// Upper bound for an immediate exit. A start that ignores the signal would run for minutes.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// Sends a signal, and asserts that the start ends at once.
fn interrupt(running: Running, stage: &str, signal: i32) {
    let begin = Instant::now();
    running.signal(signal);
    let ended = running.wait();
    assert!(begin.elapsed() < EXIT_LIMIT, "{stage}");
    assert_eq!(ended.code, 128 + signal, "{stage}: {}", ended.stderr);
    assert!(
        ended.stderr.contains("before the app was started"),
        "{stage}: {}",
        ended.stderr
    );
}

#[test]
fn signals_end_a_start_at_every_stage() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        // During the back-off: nothing listens on the port.
        let bootstrap = Bootstrap::with(&[APP, "127.0.0.1:1"]).env("BOOTSTRAP_DEADLINE", "5m");
        let running = bootstrap.spawn();
        running.wait_for_stderr("attempt 2");
        interrupt(running, "back-off", signal);

        // While the release document is incomplete.
        let mock = Mock::start();
        mock.always(RELEASE, Reply::ok("x".repeat(100)).stalled_after(10));
        let running = Bootstrap::of(&mock).spawn();
        eventually("bootstrap sends the request", || {
            !mock.requests(RELEASE).is_empty()
        });
        interrupt(running, "release", signal);

        // During a download.
        let mock = Mock::start();
        let app = App::script("true");
        app.announce(&mock);
        mock.always(&app.path(), app.file_reply().stalled_after(5));
        let running = Bootstrap::of(&mock).spawn();
        eventually("bootstrap sends the request", || {
            !mock.requests(&app.path()).is_empty()
        });
        interrupt(running, "fetch", signal);

        // While another process holds the lock.
        let mock = Mock::start();
        App::script("true").announce(&mock);
        let bootstrap = Bootstrap::of(&mock);
        std::fs::create_dir_all(bootstrap.dir()).unwrap();
        let lock = std::fs::File::create(bootstrap.dir().join(".lock")).unwrap();
        lock.lock().unwrap();
        let running = bootstrap.spawn();
        running.wait_for_stderr("waiting for another bootstrap");
        interrupt(running, "lock", signal);
    }
}

#[test]
fn a_signal_ends_unpacking_and_the_next_start_removes_leftovers() {
    // Many files, so that unpacking takes long enough for the signal.
    let entries =
        (0..60_000).map(|number| Entry::file(format!("d{}/f{number}", number % 100), "x"));
    let app = App::new("hello-1.0.0.tar.gz", gzip(&Tar::new(entries).finish()))
        .with_config("STARTUP_COMMAND='echo started'\n");
    let mock = Mock::start();
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_DEADLINE", "60s");
    let running = bootstrap.spawn();
    let staging = || {
        let found = std::fs::read_dir(bootstrap.dir())
            .into_iter()
            .flatten()
            .flatten();
        found
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".staging-"))
            .count()
    };
    eventually("bootstrap unpacks", || staging() == 1);
    interrupt(running, "unpack", libc::SIGTERM);
    assert_eq!(staging(), 1);
    assert_eq!(bootstrap.run().expect(0).stdout, "started\n");
    assert_eq!(staging(), 0);
}

#[test]
fn a_signal_during_the_handover_is_not_lost() {
    // Before the app starts, bootstrap handles the signal. Afterwards, the app does.
    let mock = Mock::start();
    App::probe("stop-on 15").publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    bootstrap.spawn_and_stop_after(Duration::from_secs(1));
    for delay_ms in 0..40 {
        bootstrap.spawn_and_stop_after(Duration::from_millis(delay_ms));
    }
}

trait StopAfter {
    fn spawn_and_stop_after(&self, delay: Duration);
}

impl StopAfter for Bootstrap {
    fn spawn_and_stop_after(&self, delay: Duration) {
        let running = self.spawn();
        std::thread::sleep(delay);
        running.signal(libc::SIGTERM);
        let begin = Instant::now();
        let ended = running.wait();
        assert!(begin.elapsed() < EXIT_LIMIT, "{delay:?}: {}", ended.stderr);
        // Until the probe blocks the signal, the signal kills the probe.
        assert!(
            [0, 143].contains(&ended.code),
            "{delay:?}: {} {}",
            ended.code,
            ended.stderr
        );
    }
}
