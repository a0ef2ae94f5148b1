//! Hostile requests to the load balancer.

use platformer_tests::http::{self, Response};
use platformer_tests::platform::{self, Platform};
use platformer_tests::{binaries, docker};

use super::get;

#[test]
fn the_load_balancer_exposes_only_apps_and_trusts_no_header() {
    platform::require_compose();
    let platform = Platform::training();
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(binaries::web(), directory.path().join("web")).unwrap();
    platform.publish(
        "web",
        directory.path(),
        "1.0.0",
        "STARTUP_COMMAND=./web\nHEALTHCHECK=/status\n",
    );
    platform.succeed(&["deploy", "web@1.0.0"]);
    check_hosts(&platform);
    check_headers(&platform);
    check_tunnels(&platform);

    let balancer = platform.container("loadbalancer");
    let write = "printf secret > /var/lib/loadbalancer/acme/secret";
    docker::exec_ok(&balancer, &["sh", "-c", write]);
    assert_eq!(
        get(&platform, "web.localhost", "/elsewhere").text(),
        "mine\n"
    );
}

fn raw(platform: &Platform, request: &str) -> Response {
    http::raw(platform.address, request.as_bytes(), false)
}

/// Only host names of apps are routed.
fn check_hosts(platform: &Platform) {
    for (host, status) in [
        ("web.localhost", 200),
        ("WEB.localhost", 200),
        ("web.localhost:8080", 200),
        ("web.localhost.", 200),
        ("localhost", 404),
        ("127.0.0.1", 404),
        ("x.web.localhost", 404),
        ("web.apps.platform", 404),
        ("repository.platform", 404),
        ("..localhost", 400),
        ("web@x.localhost", 404),
        ("-.localhost", 404),
        // No container has these names, and the load balancer must not ask an external name server.
        ("repository.localhost", 503),
        ("toolbox.localhost", 503),
        ("loadbalancer.localhost", 503),
        ("no-such-app.localhost", 503),
    ] {
        assert_eq!(get(platform, host, "/").status, status, "{host}");
    }
    // The name server of Docker answers at once, without a timeout.
    let balancer = platform.container("loadbalancer");
    let log = docker::docker(&["logs", &balancer]).stderr;
    let log = String::from_utf8_lossy(&log);
    assert!(
        log.contains("no-such-app.apps.platform could not be resolved (3: Host not found)"),
        "{log}"
    );
    assert!(!log.contains("timed out"), "{log}");
    let differs =
        "GET http://web.localhost/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(platform, differs).status, 400);
    let same =
        "GET http://web.localhost/ HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(platform, same).status, 200);
}

/// The load balancer removes forwarding headers of clients.
fn check_headers(platform: &Platform) {
    const FORGED: [&str; 12] = [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Real-IP",
        "True-Client-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Forwarded",
    ];
    let mut given: Vec<(&str, &str)> = FORGED.iter().map(|name| (*name, "forged")).collect();
    given.push(("Host", "web.localhost"));
    let seen = http::request(platform.address, "GET", "/headers", &given, b"").text();
    assert!(!seen.contains("forged"), "{seen}");
    assert!(seen.contains("x-forwarded-proto: http\n"), "{seen}");
    assert!(seen.contains("x-forwarded-for: "), "{seen}");
}

/// Only a `WebSocket` upgrade opens a tunnel.
fn check_tunnels(platform: &Platform) {
    let upgrade = "GET /headers HTTP/1.1\r\nHost: web.localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let mut bytes = upgrade.to_owned();
    // nginx keeps the connection open, so a second request closes it.
    bytes += "GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n\r\n";
    let answer = raw(platform, &bytes);
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("upgrade: h2c"), "{}", answer.text());
}
