//! Downloads from a server that fails in random ways, up to twenty times per download. Each download ends with the right
//! bytes or, after too many failures, with the right exit code.
//!
//! `SOAK_DOWNLOADS=10000 cargo test -p tests --test end-to-end -- faults::` runs more downloads.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use platformer_tests::dice::Dice;
use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::eventually;

/// Number of downloads, unless `SOAK_DOWNLOADS` is set.
const DOWNLOADS: usize = 120;
/// Number of concurrent downloads, which mostly wait.
const CONCURRENCY: usize = 40;

/// The outcomes that a download may have.
#[derive(Debug, Default)]
struct Expected {
    /// Number of complete answers with wrong bytes.
    damaged: usize,
    /// Whether bootstrap can resume after every fault.
    resumable: bool,
}

fn fault(dice: &mut Dice, app: &App, expected: &mut Expected) -> Reply {
    let size = app.artefact.len();
    let some = dice.roll(size);
    let good = app.file_reply();
    match dice.roll(12) {
        0 | 1 => good.reset_after(some),
        2 => good.closed_after(some),
        3 => good.stalled_after(some),
        4 => Reply::new([500, 502, 503, 504][dice.roll(4)], ""),
        5 => Reply::new(429, "").header("Retry-After", "0"),
        6 => {
            let soon = SystemTime::now() + Duration::from_secs(1);
            Reply::new(429, "").header("Retry-After", &httpdate::fmt_http_date(soon))
        }
        7 => {
            // A flipped bit in a complete answer. The reply ignores ranges, so that it is complete.
            expected.damaged += 1;
            expected.resumable = false;
            let mut bytes = app.artefact.clone();
            bytes[some] ^= 1 << dice.roll(8);
            Reply::ok(bytes).header("ETag", &app.digest().etag())
        }
        8 => {
            expected.resumable = false;
            let range = format!("bytes {}-{}/{size}", some / 2, size - 1);
            Reply::new(206, &app.artefact[some / 2..]).header("Content-Range", &range)
        }
        9 => {
            // The entity tag has changed, so the reply starts from the first byte. It is cut, too.
            expected.resumable = false;
            Reply::ok(app.artefact.clone())
                .header("ETag", "\"another\"")
                .closed_after(some)
        }
        10 => {
            // A server without ranges.
            expected.resumable = false;
            Reply::ok(app.artefact.clone()).closed_after(some)
        }
        _ => {
            expected.damaged += 1;
            expected.resumable = false;
            Reply::ok(app.artefact[..some].to_vec()).header("ETag", &app.digest().etag())
        }
    }
}

fn download(seed: usize) {
    let mut dice = Dice::new(seed as u64);
    let size = 1 + dice.roll(300_000);
    let content = dice.noise(size);
    let app = App::new("hello-1.0.0.bin", content);
    let mock = Mock::lenient();
    app.announce(&mock);
    let mut expected = Expected {
        resumable: true,
        ..Expected::default()
    };
    for _ in 0..dice.roll(21) {
        let reply = fault(&mut dice, &app, &mut expected);
        mock.once(&app.path(), reply);
    }
    mock.always(&app.path(), app.file_reply());
    let bootstrap = Bootstrap::with(&["fetch", APP, &mock.address().to_string()])
        .env("BOOTSTRAP_STALL_TIMEOUT", "300ms")
        .env("BOOTSTRAP_DEADLINE", "50s");
    let ended = bootstrap.run();
    match ended.code {
        0 => {
            let tree = bootstrap.dir().join(app.digest().to_string());
            assert_eq!(
                fs::read(tree.join(&app.file)).unwrap(),
                app.artefact,
                "seed {seed}"
            );
        }
        65 => assert!(expected.damaged >= 2, "seed {seed}: {}", ended.stderr),
        69 => assert!(
            ended.stderr.contains("within 50s") || ended.stderr.contains("deadline"),
            "seed {seed}: {}",
            ended.stderr
        ),
        // 206 in answer to a request without a range is a protocol error.
        76 => assert!(
            ended.stderr.contains("206 Partial Content"),
            "seed {seed}: {}",
            ended.stderr
        ),
        code => panic!("seed {seed}: {code} {}", ended.stderr),
    }
    if ended.code == 0 && expected.resumable {
        assert_eq!(
            mock.bytes_sent(&app.path()),
            size,
            "seed {seed}: bytes were sent twice: {}",
            ended.stderr
        );
    }
}

#[test]
fn every_download_succeeds_or_fails_with_the_right_code() {
    let downloads = std::env::var("SOAK_DOWNLOADS").map_or(DOWNLOADS, |text| {
        text.parse().expect("a number of downloads")
    });
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= downloads {
                        return;
                    }
                    download(seed);
                }
            });
        }
    });
}

#[test]
fn two_hundred_hosts_spread_their_retries_after_an_outage() {
    const COUNT: usize = 200;
    let mock = Mock::start();
    mock.always(RELEASE, Reply::new(503, ""));
    let app = App::new("hello-1.0.0.bin", "content");
    mock.always(&app.path(), app.file_reply());
    let bootstraps: Vec<Bootstrap> = (0..COUNT)
        .map(|_| {
            Bootstrap::with(&["fetch", APP, &mock.address().to_string()])
                .env("BOOTSTRAP_DEADLINE", "100s")
        })
        .collect();
    let running: Vec<_> = bootstraps.iter().map(Bootstrap::spawn).collect();
    // Each process has failed about four times by then, so its maximum delay is seconds.
    eventually("each process has retried", || {
        mock.requests(RELEASE).len() > COUNT * 5
    });
    let outage_end = Instant::now();
    app.announce(&mock);
    for running in running {
        running.wait().expect(0);
    }
    let mut arrivals: Vec<Duration> = mock
        .requests(RELEASE)
        .iter()
        .filter_map(|request| request.at.checked_duration_since(outage_end))
        .collect();
    arrivals.sort_unstable();
    assert!(arrivals.len() >= COUNT, "{}", arrivals.len());
    let window = Duration::from_millis(250);
    let max = arrivals
        .iter()
        .map(|first| {
            let within =
                |at: &&Duration| at.checked_sub(*first).is_some_and(|after| after < window);
            arrivals.iter().filter(within).count()
        })
        .max();
    assert!(
        max < Some(COUNT / 2),
        "{max:?} of {COUNT} within {window:?}: {arrivals:?}"
    );
}
