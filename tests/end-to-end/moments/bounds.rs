//! What is taken, how much of it, and from whom.

use platformer_tests::http;
use platformer_tests::test;
use platformer_tests::websocket::{Told, WebSocket};

use super::{GIF, Platform};

#[test]
fn what_is_sent_is_bounded_and_from_its_own_pages() {
    let mut platform = Platform::start();
    platform.redis.start();
    let replica = platform.replica();
    replica.is_ready();
    let address = replica.address;
    assert_eq!(replica.post("/pictures", b"<svg></svg>").status, 415);
    let mut large = GIF.to_vec();
    large.resize(8 << 20, 0);
    let picture = replica.share(&large);
    large.push(0);
    let refused = replica.post("/pictures", &large);
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (413, "this is too large: 8 MiB at the most\n")
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
    let nobody = "/pictures/0000/comments";
    assert_eq!(replica.post(nobody, br#"{"text":"x"}"#).status, 404);
    for path in [
        "/pictures/probe",
        "/pictures/..%2Fprobe",
        "/pictures/0000.png",
        "/nothing",
    ] {
        assert_eq!(replica.get(path).status, 404, "{path}");
    }

    let own = format!("http://{address}");
    for (headers, is_own) in [
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
            if is_own { Ok(()) } else { Err(403) },
            "{headers:?}"
        );
        let shared = http::request(address, "POST", "/pictures", headers, &large[..8 << 20]);
        assert_eq!(shared.status, if is_own { 200 } else { 403 }, "{headers:?}");
    }
    for (said, code) in [("x".repeat(10), 1008), ("x".repeat(1025), 1009)] {
        let mut window = replica.window("");
        window.next_of("everything");
        window.say(&said);
        assert_eq!(window.told(), Told::Closed(code));
    }
}
