//! The Redis image, without root, capabilities or a writable file system.

use platformer_tests::docker::{self, Container};
use platformer_tests::run::eventually;

#[test]
fn redis_becomes_healthy_without_privileges() {
    docker::require_images();
    let redis = Container::run(&[
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "platformer/redis",
    ]);
    eventually("redis is healthy", || {
        redis.inspect("{{.State.Health.Status}}") == "healthy"
    });
    let uids = docker::succeed(&["exec", &redis.0, "grep", "Uid", "/proc/1/status"]);
    assert!(
        !uids.split_whitespace().skip(1).any(|uid| uid == "0"),
        "{uids}"
    );
    assert_eq!(
        docker::succeed(&["exec", &redis.0, "redis-cli", "set", "a", "b"]),
        "OK"
    );
    docker::succeed(&["stop", &redis.0]);
    assert_eq!(redis.wait(), 0, "{}", redis.logs());
}
