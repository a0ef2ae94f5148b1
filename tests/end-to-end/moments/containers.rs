//! The Redis image, without root, capabilities or a writable file system.

use platformer_tests::docker::{self, Container, LOCKED_DOWN};
use platformer_tests::run::eventually;

#[test]
fn redis_becomes_healthy_without_privileges() {
    docker::require_images();
    let redis = Container::run(&[&LOCKED_DOWN[..], &["platformer/redis"]].concat());
    eventually("redis is healthy", || redis.is_healthy());
    let uids = docker::exec_ok(&redis.0, &["grep", "Uid", "/proc/1/status"]);
    assert!(
        !uids.split_whitespace().skip(1).any(|uid| uid == "0"),
        "{uids}"
    );
    assert_eq!(
        docker::exec_ok(&redis.0, &["redis-cli", "set", "a", "b"]),
        "OK"
    );
    assert_eq!(redis.stop(), 0, "{}", redis.logs());
}
