//! Redis and S3 come late, go and come back; a parameter changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platformer_tests::run::eventually;
use platformer_tests::s3::{Fate, proxy};
use platformer_tests::test;

use super::{GIF, Platform, Replica, config};

#[test]
fn services_that_come_up_late_are_waited_for() {
    let mut platform = Platform::start();
    let is_up = Arc::new(AtomicBool::new(false));
    let judge = Arc::clone(&is_up);
    let way = proxy(platform.s3.address, move |_| {
        if judge.load(Ordering::Relaxed) {
            Fate::Pass
        } else {
            Fate::Lose
        }
    });
    let container = platform
        .container()
        .env("AWS_ENDPOINT", format!("http://{way}"));
    let replica = Replica::start(&container);
    let says = |text: &str| {
        eventually(text, || {
            let status = replica.get("/status");
            status.status == 503 && status.text().contains(text)
        });
    };
    says("redis: connection refused; pictures: ");
    assert_eq!(replica.get("/status").text().lines().count(), 1);
    // The page is there all the same, and says what it waits for; whoever writes is told to wait.
    let page = replica.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.text()
            .contains("Waiting for redis: connection refused"),
        "{}",
        page.text()
    );
    let refused = replica.post("/pictures", GIF);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    let mut window = replica.window("");
    let waiting = window.next_of("state")["waiting"].clone();
    assert!(
        waiting.as_str().unwrap().starts_with("redis: "),
        "{waiting}"
    );

    platform.redis.start();
    eventually("only S3 is missing", || {
        replica.get("/status").text().starts_with("pictures: ")
    });
    is_up.store(true, Ordering::Relaxed);
    replica.is_ready();
    while !window.next_of("state")["waiting"].is_null() {}
    let who = replica
        .get("/status")
        .header("x-platform-app")
        .unwrap()
        .to_owned();
    assert_eq!(who, "moments r1 replica");
    replica.share(GIF);
    window.next_of("picture");

    is_up.store(false, Ordering::Relaxed);
    says("pictures: ");
    is_up.store(true, Ordering::Relaxed);
    replica.is_ready();
    // It listens, and says nothing.
    platform.redis.signal(libc::SIGSTOP);
    says("redis: timed out");
    platform.redis.signal(libc::SIGCONT);
    replica.is_ready();
    replica.terminate();
    replica.wait().expect(0);
}

#[test]
fn a_parameter_that_is_released_reaches_the_running_app() {
    let mut platform = Platform::start();
    platform.redis.start();
    let container = platform.container().env(
        "REDIS_URL",
        format!("redis://default:canary@{}/", platform.redis.address),
    );
    let replica = Replica::start(&container);
    replica.is_ready();
    let parameters = replica.get("/parameters").text();
    assert!(parameters.contains("COMMENTS_SHOWN=20\n"), "{parameters}");
    assert!(
        parameters.contains("PICTURES=s3://bucket/moments\n"),
        "{parameters}"
    );
    assert!(!parameters.contains("canary"), "{parameters}");

    // A config that is only written changes nothing: the channel points at a release, config included.
    let changed = config().replace("COMMENTS_SHOWN=20", "COMMENTS_SHOWN=3");
    platform
        .repository
        .publish("/config/moments/moments.config", &changed);
    assert!(
        replica
            .get("/parameters")
            .text()
            .contains("COMMENTS_SHOWN=20\n")
    );
    platform.release(&changed);
    replica.wait().expect(0).says("moments@stable has changed");
    // As the engine does with --restart.
    let replica = Replica::start(&container);
    let answer = replica.get("/parameters");
    assert!(
        answer.text().contains("COMMENTS_SHOWN=3\n"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-platform-app"), Some("moments r2 replica"));
}
