//! The console in a real browser: moving a channel, editing a config, being told of what others do; by keyboard,
//! on a phone, in the dark.

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
fn a_channel_is_moved_and_moved_back() {
    let test = "browsing::a_channel_is_moved_and_moved_back";
    let Some(browser) = Browser::start(test, DESK, false) else {
        return;
    };
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/"));
    browser.click("table a[href='/apps/hello']");
    browser.write("#channel", "stable");
    browser.write("#to", "1.1.0");
    browser.click("form.line button");
    // What would change is shown before anything does.
    browser.shows("Point stable at 1.1.0");
    browser.shows("COLOUR changed");
    assert_eq!(server.get("/channels/hello/stable").text(), "r1\n");
    browser.click(".sheet button[type=submit]");
    browser.shows("stable points at r2 now");
    assert_eq!(server.get("/channels/hello/stable").text(), "r2\n");
    browser.click("a[href='/apps/hello/channels/stable?to=r1']");
    browser.click(".sheet button[type=submit]");
    browser.shows("stable points at r1 now");
    assert_eq!(server.get("/channels/hello/stable").text(), "r1\n");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_others_do_is_shown_without_loading() {
    let test = "browsing::what_others_do_is_shown_without_loading";
    let Some(browser) = Browser::start(test, DESK, false) else {
        return;
    };
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/apps/hello"));
    browser.until("!document.getElementById('live').hidden");
    browser.evaluate("window.isTheSamePage = true");
    server.publish("/channels/hello/stable", "1.1.0");
    browser.until("document.querySelector('a.release').innerText === 'r2'");
    server.publish("/channels/hello/training", "r1");
    browser.shows("training");
    // What somebody is typing is not taken away.
    browser.write("#channel", "half a na");
    server.publish("/channels/hello/stable", "r1");
    browser.until("document.getElementById('live').innerText.startsWith('changed')");
    assert_eq!(
        browser.evaluate("return document.getElementById('channel').value"),
        "half a na"
    );
    assert_eq!(browser.evaluate("return window.isTheSamePage"), true);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_editor_shows_errors_where_they_are() {
    let test = "browsing::the_editor_shows_errors_where_they_are";
    let Some(browser) = Browser::start(test, DESK, false) else {
        return;
    };
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/apps/hello/config/hello.config"));
    browser.write("#content", "PATH_TO=$HOME/x\n");
    browser.until("document.querySelector('output.bad')?.innerText.includes('line 3, column 9')");
    assert_eq!(
        browser.evaluate("return document.querySelector('mark b').innerText"),
        "$"
    );
    // The mark lies just behind the character: line and text have the same place and size.
    let apart = browser.evaluate(
        "const text = document.querySelector('textarea'); const mark = document.querySelector('mark');
         const line = parseFloat(getComputedStyle(text).lineHeight);
         const top = text.getBoundingClientRect().top + parseFloat(getComputedStyle(text).paddingTop);
         return Math.abs(mark.getBoundingClientRect().top - (top + 2 * line)) + (getComputedStyle(text).font === getComputedStyle(mark).font ? 0 : 100)",
    );
    assert!(apart.as_f64().unwrap() < 3.0, "{apart}");
    browser.click("form.editor button");
    browser.until("document.querySelector('#refused')");
    browser.until("document.querySelector('mark b')?.innerText === '$'");
    // What others do takes the draft away as little as a refusal.
    server.publish("/artefacts/hello/1.2.0/f", "x");
    browser.until("document.getElementById('live').innerText.startsWith('changed')");
    let kept = browser.evaluate("return document.getElementById('content').value");
    assert_eq!(kept, "STARTUP_COMMAND=./f\nCOLOUR=blue\nPATH_TO=$HOME/x\n");
    browser.clear("#content");
    browser.write("#content", "STARTUP_COMMAND=./f\nAPI_TOKEN='x'");
    browser.until("document.querySelector('output')?.innerText.includes('looks like a secret')");
    browser.click("form.editor button");
    browser.shows("Saved: this is generation 3");
    assert_eq!(
        server.get("/config/hello/hello.config").text(),
        "STARTUP_COMMAND=./f\nAPI_TOKEN='x'"
    );
    // A refusal is what the server was to answer; nothing else went wrong.
    let complaints = browser.complaints();
    assert!(
        complaints.iter().all(|it| it.contains("status of 422")),
        "{complaints:?}"
    );
}

#[test]
fn somebody_signs_in_and_out() {
    let test = "browsing::somebody_signs_in_and_out";
    let Some(browser) = Browser::start(test, DESK, false) else {
        return;
    };
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
        "no script can read it"
    );
    browser.until("!document.getElementById('live').hidden");
    browser.click("form.sign button");
    browser.until("document.querySelector('#token')");
    browser.open(&url(&server, "/apps/hello"));
    browser.until("document.querySelector('#token')");
}

/// Contrast of every text against what lies behind it (WCAG 2.2, 1.4.3), names of everything that can be used
/// (4.1.2), and headings in order.
pub(crate) const AUDIT: &str = r"
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((c) => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b;
};
const parse = (text) => text.match(/[\d.]+/g).map(Number);
const behind = (element) => {
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
  const [a, b] = [luminance(parse(style.color).slice(0, 3)), luminance(behind(element))];
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
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('twice: #' + id);
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
fn every_page_can_be_read_by_everybody() {
    let test = "browsing::every_page_can_be_read_by_everybody";
    for (size, is_dark) in [(DESK, false), (DESK, true), (PHONE, false), (PHONE, true)] {
        let Some(browser) = Browser::start(test, size, is_dark) else {
            return;
        };
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
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

#[test]
fn everything_can_be_done_by_keyboard() {
    let test = "browsing::everything_can_be_done_by_keyboard";
    let Some(browser) = Browser::start(test, DESK, false) else {
        return;
    };
    let (_storage, server) = Server::fresh();
    fill(&server);
    browser.open(&url(&server, "/apps/hello"));
    let (tab, enter) = ('\u{e004}', '\u{e007}');
    browser.press(tab);
    // The first stop leads past what every page begins with, and can be seen.
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
        assert!(stops < 40, "the form is not reached");
    }
    for key in "stable"
        .chars()
        .chain([tab])
        .chain("1.1.0".chars())
        .chain([enter])
    {
        browser.press(key);
    }
    browser.shows("Point stable at 1.1.0");
    while browser.evaluate("return document.activeElement.type") != "submit"
        || browser.evaluate("return document.activeElement.closest('.sheet') === null") == true
    {
        browser.press(tab);
        stops += 1;
        assert!(stops < 80, "the button is not reached");
    }
    browser.press(enter);
    browser.shows("stable points at r2 now");
}
