//! Who follows: on which replica does not matter, and neither does who was away for a while.

use platformer_tests::run::eventually;
use platformer_tests::test;
use platformer_tests::websocket::{Told, WebSocket};
use serde_json::Value;

use super::{GIF, Platform};

#[test]
fn every_replica_tells_everything_and_who_comes_back_misses_nothing() {
    let mut platform = Platform::start();
    platform.redis.start();
    let (one, two) = (platform.replica(), platform.replica());
    one.is_ready();
    two.is_ready();
    let mut window = two.window("");
    window.next_of("everything");
    let picture = one.share(GIF);
    let told = window.next_of("picture");
    assert_eq!(
        format!("/pictures/{}", told["picture"].as_str().unwrap()),
        picture
    );
    // Each has the picture, byte for byte, and nobody takes it for anything else.
    let shown = two.get(&picture);
    assert_eq!((shown.status, &shown.body[..]), (200, GIF));
    assert_eq!(shown.header("content-type"), Some("image/gif"));
    assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    assert!(shown.header("cache-control").unwrap().contains("immutable"));
    // The same picture once more is no news.
    let again = two.post("/pictures", GIF);
    assert_eq!(
        (again.status, again.header("location")),
        (200, Some(picture.as_str()))
    );
    one.comment(&picture, "<b>first</b>");
    let first = window.next_of("comment");
    let html = first["html"].as_str().unwrap();
    assert!(html.contains("&lt;b&gt;first"), "{html}");

    drop(window);
    for text in ["second", "third"] {
        one.comment(&picture, text);
    }
    let after = format!("?after={}", first["id"].as_str().unwrap());
    let mut window = two.window(&after);
    assert_eq!(window.next_of("comment")["said"], "second");
    assert_eq!(window.next_of("comment")["said"], "third");
    // Of what nobody knows, everything comes again.
    for query in ["", "?after=1-1", "?after=nonsense"] {
        let everything = one.window(query).next_of("everything");
        assert!(everything["html"].as_str().unwrap().contains("third"));
    }

    // Redis loses all that it had; a replica puts it back, and whoever was there goes on.
    platform.redis.kill();
    while window.next_of("state")["waiting"].is_null() {}
    eventually("nobody listens", || {
        two.get("/status").text() == "redis: connection refused\n"
    });
    platform.redis.start();
    one.is_ready();
    two.is_ready();
    one.comment(&picture, "fourth");
    let told = window.next_of("comment");
    assert_eq!(told["said"], "fourth");
    let late = platform.replica();
    late.is_ready();
    let page = late.get("/").text();
    assert!(
        page.contains("&lt;b&gt;first") && page.contains("fourth"),
        "{page}"
    );
}

#[test]
fn a_replica_that_stops_sends_its_windows_away() {
    let mut platform = Platform::start();
    platform.redis.start();
    let replica = platform.replica();
    replica.is_ready();
    let mut windows: Vec<WebSocket> = (0..20).map(|_| replica.window("")).collect();
    for window in &mut windows {
        window.next_of("everything");
    }
    replica.terminate();
    for window in &mut windows {
        loop {
            match window.told() {
                Told::Json(_) => {}
                other => {
                    assert_eq!(other, Told::Closed(1001));
                    break;
                }
            }
        }
    }
    replica.wait().expect(0);
}

/// More than fits on the way to a window that does not read.
const SAID: usize = 800;

/// What a window is told until its end, or until it was told all that was said.
fn until_the_end(mut window: WebSocket) -> (Vec<Value>, Option<Told>) {
    let mut all = Vec::new();
    while all.len() < SAID {
        match window.told() {
            Told::Json(told) if told["kind"] == "comment" => all.push(told),
            Told::Json(_) => {}
            end => return (all, Some(end)),
        }
    }
    (all, None)
}

#[test]
fn a_window_that_reads_too_slowly_is_dropped_and_gets_the_rest_later() {
    let mut platform = Platform::start();
    platform.redis.start();
    let replica = platform.replica();
    replica.is_ready();
    let picture = replica.share(GIF);
    let slow = WebSocket::open_narrow(replica.address, "/events?after=0-0").unwrap();
    let mut quick = replica.window("?after=0-0");
    quick.next_of("picture");
    for number in 0..SAID {
        // Each is much larger when it is escaped.
        replica.comment(&picture, &format!("{number} {}", "<".repeat(490)));
        quick.next_of("comment");
    }
    let (told, end) = until_the_end(slow);
    let is_dropped = matches!(end, Some(Told::Closed(1013) | Told::Gone));
    assert!(is_dropped, "{end:?} after {}", told.len());
    let last = told.last().map_or("0-0", |it| it["id"].as_str().unwrap());
    let mut window = replica.window(&format!("?after={last}"));
    for number in told.len()..SAID {
        let said = window.next_of("comment")["said"].clone();
        let said = said.as_str().unwrap();
        assert!(said.starts_with(&format!("{number} ")), "{number}: {said}");
    }
}
