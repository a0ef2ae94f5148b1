//! The steps of the first hour in the README, for an installed platformer and for one in a checkout.

use std::path::Path;
use std::time::{Duration, Instant};

use platformer_tests::platform::Platform;
use platformer_tests::run::eventually;

use super::get;

/// Publishes hello-world to an empty environment.
pub(super) fn publish(platform: &Platform, dist: &Path, version: &str) {
    assert!(
        platform
            .succeed(&["status"])
            .contains("no app is deployed yet")
    );
    let path = dist.display().to_string();
    let published = platform.succeed(&["publish", "hello-world", &path, version]);
    assert!(
        published.contains("next: platformer deploy hello-world@1.0.0"),
        "{published}"
    );
}

/// Deploys hello-world for the first time.
pub(super) fn deploy(platform: &Platform) {
    platform.succeed(&["deploy", "hello-world@1.0.0"]);
    let begin = Instant::now();
    eventually("the app answers", || {
        get(platform, "hello-world.localhost", "/greeting").status == 200
    });
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    let answer = get(platform, "hello-world.localhost", "/greeting");
    assert!(
        answer
            .header("x-platform-app")
            .unwrap()
            .starts_with("hello-world r1 ")
    );
    let status = platform.succeed(&["status"]);
    let row: Vec<&str> = status.lines().last().unwrap().split_whitespace().collect();
    let address = format!("http://hello-world.localhost:{}/", platform.address.port());
    assert_eq!(row, ["hello-world", "r1", "r1", "1/1", "ready", &address]);
    let status = platform.json(&["status", "--json"]);
    assert_eq!(status["apps"][0]["release"], "r1");
    assert_eq!(status["apps"][0]["health"], "ready");
}

/// Changes the config, deploys the change, and rolls it back.
pub(super) fn configure_and_roll_back(platform: &Platform) {
    let greeting = || get(platform, "hello-world.localhost", "/greeting").text();
    platform.succeed(&[
        "config",
        "set",
        "hello-world",
        "GREETING=Good day",
        "--layer",
        "training",
    ]);
    assert!(greeting().contains("Hello, World!"));
    let diff = platform.succeed(&["config", "diff", "hello-world"]);
    assert!(
        diff.contains("-GREETING=Hello") && diff.contains("+GREETING='Good day'"),
        "{diff}"
    );
    platform.succeed(&["deploy", "hello-world"]);
    assert!(greeting().contains("Good day, World!"));
    let releases = platform.succeed(&["releases", "hello-world"]);
    assert!(
        releases.lines().nth(1).unwrap().starts_with("r2 "),
        "{releases}"
    );
    let listed = platform.json(&["releases", "hello-world", "--json"]);
    assert_eq!(listed["releases"][0]["release"], "r2");
    assert_eq!(listed["releases"][0]["running"], true);
    let merged = platform.json(&["config", "get", "hello-world", "--json"]);
    assert_eq!(merged["config"]["GREETING"], "Good day");
    let back = platform.succeed(&["rollback", "hello-world"]);
    assert!(back.starts_with("r2 → r1"), "{back}");
    assert!(greeting().contains("Hello, World!"));
    let output = platform.run(&["rollback", "hello-world"]);
    assert_eq!(output.code, 1);
    assert!(
        output
            .stderr
            .contains("hello-world has no release before r1"),
        "{}",
        output.stderr
    );
    let output = platform.run(&["config", "set", "hello-world", "1=2"]);
    assert!(output.stderr.contains("NAME=value"), "{}", output.stderr);
}
