//! Two windows, each on a replica of its own, in a real browser.

use platformer_tests::browser::Browser;
use platformer_tests::test;
use serde_json::json;

use super::{GIF, Platform, Replica};
use crate::browsing::AUDIT;

const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

fn open(browser: &Browser, replica: &Replica) {
    browser.open(&format!("http://{}/", replica.address));
    browser.until("document.getElementById('state').dataset.is === 'live'");
    browser.evaluate("window.isTheSamePage = true");
}

/// Chooses a file and shares it, as somebody at the window does.
fn share(browser: &Browser, directory: &std::path::Path, caption: &str, picture: &[u8]) {
    let file = directory.join(format!("{caption}.gif"));
    std::fs::write(&file, picture).unwrap();
    browser.write("#picture", file.to_str().unwrap());
    browser.write("#caption", caption);
    browser.click("#share button");
}

fn say(browser: &Browser, text: &str) {
    browser.write("form.say input", text);
    browser.click("form.say button");
}

#[test]
fn two_windows_on_two_replicas_show_the_same_moments() {
    let (a, b) = (Browser::start(DESK, false), Browser::start(PHONE, true));
    let mut platform = Platform::start();
    platform.redis.start();
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (platform.replica(), platform.replica());
    one.is_ready();
    two.is_ready();
    open(&a, &one);
    open(&b, &two);
    b.shows("Nothing has been shared yet");

    a.write("#name", "Mara");
    share(&a, directory.path(), "Evening over the harbour", GIF);
    b.shows("Evening over the harbour");
    b.until("document.querySelector('article img').naturalWidth === 1");
    b.until("!document.body.innerText.includes('Nothing has been shared yet')");
    say(&a, "What <a> light!");
    b.shows("What <a> light!");
    say(&b, "I was there");
    a.shows("I was there");
    // What a form sent is not there to be sent again.
    a.until("document.querySelector('form.say input').value === ''");
    let who = b.evaluate("return document.querySelector('.comments b').innerText");
    assert_eq!(who, "Mara");

    // Redis dies with all that it had. Both windows wait, and go on.
    platform.redis.kill();
    for window in [&a, &b] {
        window.shows("Waiting for redis: connection refused");
    }
    b.write("form.say input", "A draft");
    platform.redis.start();
    for window in [&a, &b] {
        window.until("document.getElementById('state').innerText === 'Live'");
    }
    b.click("form.say button");
    a.shows("A draft");
    let again = [GIF, b"another one"].concat();
    share(&a, directory.path(), "Snow", &again);
    b.until("document.querySelector('article h2').innerText === 'Snow'");
    // Both pictures, before who has them goes away.
    for window in [&a, &b] {
        window.until("document.querySelectorAll('article img').length === 2");
        window.until("[...document.images].every(image => image.naturalWidth === 1)");
    }

    // A replica is replaced: its window comes back to the address by itself, and gets what it missed.
    let port = one.address.port().to_string();
    one.terminate();
    one.wait().expect(0);
    a.shows("Not connected");
    b.write(
        "article:nth-of-type(2) form.say input",
        "While you were away",
    );
    b.click("article:nth-of-type(2) form.say button");
    b.shows("While you were away");
    let one = Replica::start(&platform.container().env("PORT", port));
    one.is_ready();
    a.shows("While you were away");
    a.until("document.querySelectorAll('.comments li').length === 4");

    for window in [&a, &b] {
        assert_eq!(window.evaluate("return window.isTheSamePage"), true);
        // Contrast, names, headings, widths: what holds for the console holds here.
        assert_eq!(window.evaluate(AUDIT), json!([]));
    }
    assert_eq!(b.complaints(), Vec::<String>::new());
    // That the replica was away is all that there was to complain of.
    let complaints = a.complaints();
    assert!(
        complaints.iter().all(|it| it.contains("WebSocket")),
        "{complaints:?}"
    );
}
