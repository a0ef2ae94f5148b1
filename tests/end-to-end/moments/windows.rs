//! Windows on any replica receive all events, also after a lost connection.

use platformer_tests::run::eventually;
use platformer_tests::websocket::{Received, WebSocket};
use serde_json::Value;

use super::{GIF, Platform};

#[test]
fn windows_on_every_replica_receive_every_event_also_after_a_reconnect() {
    let mut platform = Platform::start();
    platform.redis.start();
    let (one, two) = (platform.replica(), platform.replica());
    one.wait_until_ready();
    two.wait_until_ready();
    let mut window = two.window("");
    window.receive_kind("snapshot");
    let picture = one.share(GIF);
    let event = window.receive_kind("picture");
    assert_eq!(
        format!("/pictures/{}", event["picture"].as_str().unwrap()),
        picture
    );
    // Every replica serves the picture, with headers that prevent type sniffing.
    let shown = two.get(&picture);
    assert_eq!((shown.status, &shown.body[..]), (200, GIF));
    assert_eq!(shown.header("content-type"), Some("image/gif"));
    assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    assert!(shown.header("cache-control").unwrap().contains("immutable"));
    // Uploading the same picture again changes nothing.
    let again = two.post("/pictures", GIF);
    assert_eq!(
        (again.status, again.header("location")),
        (200, Some(picture.as_str()))
    );
    one.comment(&picture, "<b>first</b>");
    let first = window.receive_kind("comment");
    let html = first["html"].as_str().unwrap();
    assert!(html.contains("&lt;b&gt;first"), "{html}");

    drop(window);
    for text in ["second", "third"] {
        one.comment(&picture, text);
    }
    let after = format!("?after={}", first["id"].as_str().unwrap());
    let mut window = two.window(&after);
    assert_eq!(window.receive_kind("comment")["text"], "second");
    assert_eq!(window.receive_kind("comment")["text"], "third");
    // After an unknown id, the window gets a snapshot.
    for query in ["", "?after=1-1", "?after=nonsense"] {
        let snapshot = one.window(query).receive_kind("snapshot");
        assert!(snapshot["html"].as_str().unwrap().contains("third"));
    }

    // Redis loses its data. A replica restores it, and the windows continue.
    platform.redis.kill();
    while window.receive_kind("state")["waiting"].is_null() {}
    eventually("the replica notices", || {
        two.get("/status").text() == "redis: connection refused\n"
    });
    platform.redis.start();
    one.wait_until_ready();
    two.wait_until_ready();
    one.comment(&picture, "fourth");
    let event = window.receive_kind("comment");
    assert_eq!(event["text"], "fourth");
    let late = platform.replica();
    late.wait_until_ready();
    let page = late.get("/").text();
    assert!(
        page.contains("&lt;b&gt;first") && page.contains("fourth"),
        "{page}"
    );
}

#[test]
fn a_replica_that_stops_closes_its_windows() {
    let mut platform = Platform::start();
    platform.redis.start();
    let replica = platform.replica();
    replica.wait_until_ready();
    let mut windows: Vec<WebSocket> = (0..20).map(|_| replica.window("")).collect();
    for window in &mut windows {
        window.receive_kind("snapshot");
    }
    replica.terminate();
    for window in &mut windows {
        loop {
            match window.receive() {
                Received::Json(_) => {}
                other => {
                    assert_eq!(other, Received::Closed(1001));
                    break;
                }
            }
        }
    }
    replica.wait().expect(0);
}

/// More comments than the buffers of a window hold.
const COMMENTS: usize = 800;

/// Returns the comments that a window receives until it is closed or has received all of them.
fn receive_comments(mut window: WebSocket) -> (Vec<Value>, Option<Received>) {
    let mut comments = Vec::new();
    while comments.len() < COMMENTS {
        match window.receive() {
            Received::Json(message) if message["kind"] == "comment" => comments.push(message),
            Received::Json(_) => {}
            end => return (comments, Some(end)),
        }
    }
    (comments, None)
}

#[test]
fn a_window_that_reads_too_slowly_is_closed_and_catches_up_later() {
    let mut platform = Platform::start();
    platform.redis.start();
    let replica = platform.replica();
    replica.wait_until_ready();
    let picture = replica.share(GIF);
    let slow = WebSocket::open_with_small_buffers(replica.address, "/events?after=0-0").unwrap();
    let mut quick = replica.window("?after=0-0");
    quick.receive_kind("picture");
    for number in 0..COMMENTS {
        // Escaping makes each comment much larger.
        replica.comment(&picture, &format!("{number} {}", "<".repeat(490)));
        quick.receive_kind("comment");
    }
    let (comments, end) = receive_comments(slow);
    let is_closed = matches!(end, Some(Received::Closed(1013) | Received::Gone));
    assert!(is_closed, "{end:?} after {}", comments.len());
    let last = comments
        .last()
        .map_or("0-0", |it| it["id"].as_str().unwrap());
    let mut window = replica.window(&format!("?after={last}"));
    for number in comments.len()..COMMENTS {
        let text = window.receive_kind("comment")["text"].clone();
        let text = text.as_str().unwrap();
        assert!(text.starts_with(&format!("{number} ")), "{number}: {text}");
    }
}
