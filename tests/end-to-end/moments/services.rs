//! Redis and S3 start late, fail and recover; a parameter changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platformer_tests::run::eventually;
use platformer_tests::s3::{Fault, proxy};

use super::{GIF, Platform, Replica, config};

#[test]
fn the_app_waits_for_services_that_start_late() {
    let mut platform = Platform::start();
    let is_up = Arc::new(AtomicBool::new(false));
    let decide = Arc::clone(&is_up);
    let faulty_s3 = proxy(platform.s3.address, move |_| {
        if decide.load(Ordering::Relaxed) {
            Fault::None
        } else {
            Fault::DropRequest
        }
    });
    let container = platform
        .container()
        .env("AWS_ENDPOINT", format!("http://{faulty_s3}"));
    let replica = Replica::start(&container);
    let says = |text: &str| {
        eventually(text, || {
            let status = replica.get("/status");
            status.status == 503 && status.text().contains(text)
        });
    };
    says("redis: connection refused; pictures: ");
    assert_eq!(replica.get("/status").text().lines().count(), 1);
    // The page works and shows what the app is waiting for. Writes get 503 with Retry-After.
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
    let waiting = window.receive_kind("state")["waiting"].clone();
    assert!(
        waiting.as_str().unwrap().starts_with("redis: "),
        "{waiting}"
    );

    platform.redis.start();
    eventually("only S3 is missing", || {
        replica.get("/status").text().starts_with("pictures: ")
    });
    is_up.store(true, Ordering::Relaxed);
    replica.wait_until_ready();
    while !window.receive_kind("state")["waiting"].is_null() {}
    let identity = replica
        .get("/status")
        .header("x-platform-app")
        .unwrap()
        .to_owned();
    assert_eq!(identity, "moments r1 replica");
    replica.share(GIF);
    window.receive_kind("picture");

    is_up.store(false, Ordering::Relaxed);
    says("pictures: ");
    is_up.store(true, Ordering::Relaxed);
    replica.wait_until_ready();
    // A stopped Redis accepts connections but does not answer.
    platform.redis.signal(libc::SIGSTOP);
    says("redis: timed out");
    platform.redis.signal(libc::SIGCONT);
    replica.wait_until_ready();
    replica.terminate();
    replica.wait().expect(0);
}

#[test]
fn a_released_parameter_reaches_the_running_app() {
    let mut platform = Platform::start();
    platform.redis.start();
    let container = platform.container().env(
        "REDIS_URL",
        format!("redis://default:canary@{}/", platform.redis.address),
    );
    let replica = Replica::start(&container);
    replica.wait_until_ready();
    let parameters = replica.get("/parameters").text();
    assert!(parameters.contains("COMMENTS_SHOWN=20\n"), "{parameters}");
    assert!(
        parameters.contains("PICTURES=s3://bucket/moments\n"),
        "{parameters}"
    );
    assert!(!parameters.contains("canary"), "{parameters}");

    // Writing a config changes nothing yet: the channel points at a release, which pins the config.
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
    // The engine does this with --restart.
    let replica = Replica::start(&container);
    let answer = replica.get("/parameters");
    assert!(
        answer.text().contains("COMMENTS_SHOWN=3\n"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-platform-app"), Some("moments r2 replica"));
}
