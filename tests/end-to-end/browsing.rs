//! The console in a real browser: moving a channel, editing a config, live updates and signing in; by keyboard, on a
//! phone, and in dark mode.

use platformer_tests::browser::Browser;
use platformer_tests::server::Server;
use serde_json::Value;

use crate::tokens;

const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

fn fill(server: &Server) {
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        server.publish(
            &format!("/artefacts/hello/{version}/hello-{version}.tar.gz"),
            version,
        );
    }
    server.publish(
        "/config/hello/hello.config",
        "STARTUP_COMMAND=./f\nCOLOUR=red\n",
    );
    server.publish("/channels/hello/stable", "1.0.0");
    server.publish(
        "/config/hello/hello.config",
        "STARTUP_COMMAND=./f\nCOLOUR=blue\n",
    );
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

#[test]
fn a_channel_moves_forward_and_back() {
    let browser = Browser::start(DESK, false);
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/"));
    browser.click("table a[href='/apps/hello']");
    browser.write("#channel", "stable");
    browser.write("#to", "1.1.0");
    browser.click("form.line button");
    // The page shows the changes before it makes them.
    browser.shows("Promote 1.1.0 to stable");
    browser.shows("COLOUR changed");
    assert_eq!(server.get("/channels/hello/stable").text(), "r1\n");
    browser.click(".sheet button[type=submit]");
    browser.shows("stable now points at r2");
    assert_eq!(server.get("/channels/hello/stable").text(), "r2\n");
    browser.click("a[href='/apps/hello/channels/stable?to=r1']");
    browser.click(".sheet button[type=submit]");
    browser.shows("stable now points at r1");
    assert_eq!(server.get("/channels/hello/stable").text(), "r1\n");
    assert_eq!(browser.console_messages(), Vec::<String>::new());
}

#[test]
fn changes_by_others_appear_without_a_reload() {
    let browser = Browser::start(DESK, false);
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/apps/hello"));
    browser.until("!document.getElementById('live').hidden");
    browser.evaluate("window.wasNotReloaded = true");
    server.publish("/channels/hello/stable", "1.1.0");
    browser.until("document.querySelector('a.release').innerText === 'r2'");
    server.publish("/channels/hello/training", "r1");
    browser.shows("training");
    // An update keeps the text that the user is typing.
    browser.write("#channel", "half a na");
    server.publish("/channels/hello/stable", "r1");
    browser.until("document.getElementById('live').innerText.startsWith('changed')");
    assert_eq!(
        browser.evaluate("return document.getElementById('channel').value"),
        "half a na"
    );
    assert_eq!(browser.evaluate("return window.wasNotReloaded"), true);
    assert_eq!(browser.console_messages(), Vec::<String>::new());
}

#[test]
fn the_editor_marks_errors_at_their_position() {
    let browser = Browser::start(DESK, false);
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/apps/hello/config/hello.config"));
    browser.write("#content", "PATH_TO=$HOME/x\n");
    browser.until("document.querySelector('output.bad')?.innerText.includes('line 3, column 9')");
    assert_eq!(
        browser.evaluate("return document.querySelector('mark b').innerText"),
        "$"
    );
    // The mark lies exactly behind the character: both have the same position and font.
    let distance = browser.evaluate(
        "const text = document.querySelector('textarea'); const mark = document.querySelector('mark');
         const line = parseFloat(getComputedStyle(text).lineHeight);
         const top = text.getBoundingClientRect().top + parseFloat(getComputedStyle(text).paddingTop);
         return Math.abs(mark.getBoundingClientRect().top - (top + 2 * line)) + (getComputedStyle(text).font === getComputedStyle(mark).font ? 0 : 100)",
    );
    assert!(distance.as_f64().unwrap() < 3.0, "{distance}");
    browser.click("form.editor button");
    browser.until("document.querySelector('#refused')");
    browser.until("document.querySelector('mark b')?.innerText === '$'");
    // The draft survives a refusal and an update.
    server.publish("/artefacts/hello/1.2.0/f", "x");
    browser.until("document.getElementById('live').innerText.startsWith('changed')");
    let draft = browser.evaluate("return document.getElementById('content').value");
    assert_eq!(draft, "STARTUP_COMMAND=./f\nCOLOUR=blue\nPATH_TO=$HOME/x\n");
    browser.clear("#content");
    browser.write("#content", "STARTUP_COMMAND=./f\nAPI_TOKEN='x'");
    browser.until("document.querySelector('output')?.innerText.includes('looks like a secret')");
    browser.click("form.editor button");
    browser.shows("Saved as generation 3");
    assert_eq!(
        server.get("/config/hello/hello.config").text(),
        "STARTUP_COMMAND=./f\nAPI_TOKEN='x'"
    );
    // The only message is about the expected refusal.
    let messages = browser.console_messages();
    assert!(
        messages
            .iter()
            .all(|message| message.contains("status of 422")),
        "{messages:?}"
    );
}

#[test]
fn a_user_signs_in_and_out() {
    let browser = Browser::start(DESK, false);
    let storage = tempfile::tempdir().unwrap();
    let boss = tokens::create(storage.path(), &["boss", "admin"]);
    let server = Server::start(storage.path());
    let headers = [("Authorization", format!("Bearer {boss}"))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    server.request("PUT", "/artefacts/hello/1.0.0/f", &headers, b"x");
    browser.open(&url(&server, "/apps/hello"));
    browser.write("#token", "rpt_nonsense");
    browser.press('\u{e007}');
    browser.shows("the token is unknown or revoked");
    browser.write("#token", &boss);
    browser.press('\u{e007}');
    browser.shows("Sign out");
    browser.until("location.pathname === '/apps/hello'");
    assert_eq!(
        browser.evaluate("return document.cookie"),
        "",
        "scripts cannot read the cookie"
    );
    browser.until("!document.getElementById('live').hidden");
    browser.click("form.sign button");
    browser.until("document.querySelector('#token')");
    browser.open(&url(&server, "/apps/hello"));
    browser.until("document.querySelector('#token')");
}

/// An accessibility audit: contrast of all texts (WCAG 2.2, 1.4.3), names of all controls (4.1.2), order of headings,
/// unique ids, and width.
pub(crate) const AUDIT: &str = r"
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((c) => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b;
};
const parse = (text) => text.match(/[\d.]+/g).map(Number);
const background = (element) => {
  for (let it = element; it; it = it.parentElement) {
    const colour = parse(getComputedStyle(it).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll('body *')) {
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || style.visibility === 'hidden' || box.width <= 1 || element.closest('.behind')) continue;
  const [a, b] = [luminance(parse(style.color).slice(0, 3)), luminance(background(element))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) found.push('contrast ' + ratio.toFixed(2) + ' of ' + element.outerHTML.slice(0, 80));
}
for (const field of document.querySelectorAll('input:not([type=hidden]):not([hidden]), textarea:not([hidden])'))
  if (!field.labels.length) found.push('no label: ' + field.outerHTML);
for (const it of document.querySelectorAll('a, button')) {
  if (!it.innerText.trim() && !it.textContent.trim() && !it.querySelector('img')?.alt) found.push('no name: ' + it.outerHTML);
}
for (const image of document.querySelectorAll('img')) if (image.getAttribute('alt') === null) found.push('no alt: ' + image.outerHTML);
const ids = [...document.querySelectorAll('[id]')].map((it) => it.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('duplicate id: #' + id);
let last = 0;
for (const heading of document.querySelectorAll('h1, h2, h3')) {
  const level = Number(heading.tagName[1]);
  if (level > last + 1) found.push('heading ' + heading.outerHTML);
  last = level;
}
if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the window: ' + document.documentElement.scrollWidth);
return found;
";

const PAGES: [&str; 11] = [
    "/",
    "/sign-in",
    "/apps/hello",
    "/apps/hello/versions",
    "/apps/hello/releases",
    "/apps/hello/releases/r1",
    "/apps/hello/releases/r1...r2",
    "/apps/hello/channels/stable?to=r1",
    "/apps/hello/config?environment=production",
    "/apps/hello/config/hello.config",
    "/apps/hello/config/hello.config?generation=1",
];

#[test]
fn every_page_passes_the_accessibility_audit() {
    for (size, is_dark) in [(DESK, false), (DESK, true), (PHONE, false), (PHONE, true)] {
        let browser = Browser::start(size, is_dark);
        let (_storage, server) = Server::fresh();
        fill(&server);
        server.publish("/config/hello/production.config", "API_TOKEN=x\n");
        server.publish("/channels/hello/stable", "1.1.0");
        server.request("DELETE", "/artefacts/hello/1.0.0", &[], b"");
        for path in PAGES {
            browser.open(&url(&server, path));
            let paper = browser.evaluate("return getComputedStyle(document.body).backgroundColor");
            assert_eq!(paper == "rgb(17, 22, 20)", is_dark, "{paper}");
            let found = browser.evaluate(AUDIT);
            assert_eq!(
                found,
                Value::Array(Vec::new()),
                "{path} at {size:?}, dark: {is_dark}"
            );
        }
        assert_eq!(browser.console_messages(), Vec::<String>::new());
    }
}

#[test]
fn the_console_works_by_keyboard() {
    let browser = Browser::start(DESK, false);
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/apps/hello"));
    let (tab, enter) = ('\u{e004}', '\u{e007}');
    browser.press(tab);
    // The first tab stop is a visible link that skips the header.
    assert_eq!(
        browser.evaluate("return document.activeElement.className"),
        "skip"
    );
    assert!(
        browser
            .evaluate("return document.activeElement.getBoundingClientRect().width")
            .as_f64()
            .unwrap()
            > 50.0
    );
    browser.press(enter);
    browser.until("location.hash === '#main'");
    let mut stops = 0;
    while browser.evaluate("return document.activeElement.id") != "channel" {
        browser.press(tab);
        let outline =
            browser.evaluate("return getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(
            outline,
            "solid",
            "{}",
            browser.evaluate("return document.activeElement.outerHTML")
        );
        stops += 1;
        assert!(stops < 40, "the keyboard does not reach the form");
    }
    for key in "stable"
        .chars()
        .chain([tab])
        .chain("1.1.0".chars())
        .chain([enter])
    {
        browser.press(key);
    }
    browser.shows("Promote 1.1.0 to stable");
    while browser.evaluate("return document.activeElement.type") != "submit"
        || browser.evaluate("return document.activeElement.closest('.sheet') === null") == true
    {
        browser.press(tab);
        stops += 1;
        assert!(stops < 80, "the keyboard does not reach the button");
    }
    browser.press(enter);
    browser.shows("stable now points at r2");
}
