//! Limits of what the app accepts, and its protection against cross-site requests.

use platformer_tests::http;
use platformer_tests::websocket::{Received, WebSocket};

use super::{GIF, Platform};

#[test]
fn requests_are_limited_and_same_origin() {
    let mut platform = Platform::start();
    platform.redis.start();
    let replica = platform.replica();
    replica.wait_until_ready();
    let address = replica.address;
    assert_eq!(replica.post("/pictures", b"<svg></svg>").status, 415);
    let mut large = GIF.to_vec();
    large.resize(8 << 20, 0);
    let picture = replica.share(&large);
    large.push(0);
    let refused = replica.post("/pictures", &large);
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (413, "the body is too large: the limit is 8 MiB\n")
    );
    let comments = format!("{picture}/comments");
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(501));
    for (body, status) in [
        (long.as_str(), 400),
        (r#"{"text":" "}"#, 400),
        ("text", 400),
    ] {
        assert_eq!(
            replica.post(&comments, body.as_bytes()).status,
            status,
            "{body}"
        );
    }
    assert_eq!(replica.post(&comments, &[b' '; 9000]).status, 413);
    let unknown = "/pictures/0000/comments";
    assert_eq!(replica.post(unknown, br#"{"text":"x"}"#).status, 404);
    for path in [
        "/pictures/probe",
        "/pictures/..%2Fprobe",
        "/pictures/0000.png",
        "/nothing",
    ] {
        assert_eq!(replica.get(path).status, 404, "{path}");
    }

    let own = format!("http://{address}");
    for (headers, is_allowed) in [
        (&[("Origin", own.as_str())][..], true),
        (&[("Origin", "http://other.localhost:8080")], false),
        (
            &[("Origin", own.as_str()), ("Sec-Fetch-Site", "cross-site")],
            false,
        ),
    ] {
        let opened = WebSocket::open(address, "/events", headers);
        assert_eq!(
            opened.map(drop),
            if is_allowed { Ok(()) } else { Err(403) },
            "{headers:?}"
        );
        let shared = http::request(address, "POST", "/pictures", headers, &large[..8 << 20]);
        assert_eq!(
            shared.status,
            if is_allowed { 200 } else { 403 },
            "{headers:?}"
        );
    }
    for (text, code) in [("x".repeat(10), 1008), ("x".repeat(1025), 1009)] {
        let mut window = replica.window("");
        window.receive_kind("snapshot");
        window.send(&text);
        assert_eq!(window.receive(), Received::Closed(code));
    }
}
