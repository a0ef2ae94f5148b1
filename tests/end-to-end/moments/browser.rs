//! Two windows on two replicas, in a real browser.

use platformer_tests::browser::Browser;
use serde_json::json;

use super::{GIF, Platform, Replica};
use crate::browsing::AUDIT;

const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

fn open(browser: &Browser, replica: &Replica) {
    browser.open(&format!("http://{}/", replica.address));
    browser.until("document.getElementById('state').dataset.state === 'live'");
    browser.evaluate("window.wasNotReloaded = true");
}

/// Chooses a file and shares it.
fn share(browser: &Browser, directory: &std::path::Path, caption: &str, picture: &[u8]) {
    let file = directory.join(format!("{caption}.gif"));
    std::fs::write(&file, picture).unwrap();
    browser.write("#picture", file.to_str().unwrap());
    browser.write("#caption", caption);
    browser.click("#share button");
}

fn comment(browser: &Browser, text: &str) {
    browser.write("form.add-comment input", text);
    browser.click("form.add-comment button");
}

#[test]
fn two_windows_on_two_replicas_show_the_same_moments() {
    let (a, b) = (Browser::start(DESK, false), Browser::start(PHONE, true));
    let mut platform = Platform::start();
    platform.redis.start();
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (platform.replica(), platform.replica());
    one.wait_until_ready();
    two.wait_until_ready();
    open(&a, &one);
    open(&b, &two);
    b.shows("Nothing has been shared yet");

    a.write("#name", "Mara");
    share(&a, directory.path(), "Evening over the harbour", GIF);
    b.shows("Evening over the harbour");
    b.until("document.querySelector('article img').naturalWidth === 1");
    b.until("!document.body.innerText.includes('Nothing has been shared yet')");
    comment(&a, "What <a> light!");
    b.shows("What <a> light!");
    comment(&b, "I was there");
    a.shows("I was there");
    // The form is empty after it was sent.
    a.until("document.querySelector('form.add-comment input').value === ''");
    let name = b.evaluate("return document.querySelector('.comments b').innerText");
    assert_eq!(name, "Mara");

    // Redis crashes and loses its data. Both windows wait, and recover.
    platform.redis.kill();
    for window in [&a, &b] {
        window.shows("Waiting for redis: connection refused");
    }
    b.write("form.add-comment input", "A draft");
    platform.redis.start();
    for window in [&a, &b] {
        window.until("document.getElementById('state').innerText === 'Live'");
    }
    b.click("form.add-comment button");
    a.shows("A draft");
    let other = [GIF, b"another one"].concat();
    share(&a, directory.path(), "Snow", &other);
    b.until("document.querySelector('article h2').innerText === 'Snow'");
    // Both windows load the pictures before their replica stops.
    for window in [&a, &b] {
        window.until("document.querySelectorAll('article img').length === 2");
        window.until("[...document.images].every(image => image.naturalWidth === 1)");
    }

    // A replica is replaced. Its window reconnects and gets the events that it missed.
    let port = one.address.port().to_string();
    one.terminate();
    one.wait().expect(0);
    a.shows("Not connected");
    b.write(
        "article:nth-of-type(2) form.add-comment input",
        "While you were away",
    );
    b.click("article:nth-of-type(2) form.add-comment button");
    b.shows("While you were away");
    let one = Replica::start(&platform.container().env("PORT", port));
    one.wait_until_ready();
    a.shows("While you were away");
    a.until("document.querySelectorAll('.comments li').length === 4");

    for window in [&a, &b] {
        assert_eq!(window.evaluate("return window.wasNotReloaded"), true);
        // The same accessibility audit as for the console.
        assert_eq!(window.evaluate(AUDIT), json!([]));
    }
    assert_eq!(b.console_messages(), Vec::<String>::new());
    // The messages concern only the lost connection.
    let messages = a.console_messages();
    assert!(
        messages.iter().all(|message| message.contains("WebSocket")),
        "{messages:?}"
    );
}
