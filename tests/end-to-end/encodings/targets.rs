//! Request targets: names that are none, ways out of the store, and other spellings of what is legal; each at
//! the places of an address where a name belongs.

use std::collections::BTreeSet;

use super::names::{NAMES, SLASH, UP};

/// Where a name belongs.
const PLACES: [&str; 8] = [
    "/artefacts/{}/1.0.0/f",
    "/artefacts/hello/{}/f",
    "/artefacts/hello/1.0.0/{}",
    "/artefacts/hello/{}",
    "/config/{}/hello.config",
    "/config/hello/{}",
    "/channels/hello/{}",
    "/releases/hello/{}",
];

/// What comes behind a name.
const QUERIES: [&str; 10] = [
    "?",
    "?x",
    "?/../../canary",
    "?generation=0",
    "?generation=99999999999999999999",
    "?limit=-1&after=%00",
    "?environment=..%2f..%2fcanary",
    "?purge",
    "??purge=%74rue",
    "?a=%zz&b=%c0%af",
];

/// What comes before a path that is legal by itself.
const BEFORE: [&str; 26] = [
    "http://HOST",
    "HTTP://other.example",
    "http://user:secret@HOST",
    "http://HOST:0",
    "https://HOST",
    "ftp://HOST",
    "file://",
    "http:",
    "//HOST",
    "/",
    "/.",
    "/./.",
    "/x/..",
    "/..",
    "/../..",
    "/%2e",
    "/%2e%2e",
    "/;",
    "\\",
    "/%2f",
    "/%5c..",
    "/artefacts/..",
    "/artefacts/%2e%2e",
    "/healthz/..",
    "/healthz%2f..",
    "*",
];

const WHOLE: [&str; 4] = [
    "/artefacts/whole/1.0.0/f",
    "/config/whole/whole.config",
    "/channels/hello/whole",
    "/../canary",
];

/// All of them, each once, in an order that is always the same.
pub(super) fn targets() -> Vec<Vec<u8>> {
    let mut targets = Vec::new();
    let at = |place: &str, name: &[u8]| {
        let (before, after) = place.split_once("{}").unwrap();
        [before.as_bytes(), name, after.as_bytes()].concat()
    };
    for place in PLACES {
        targets.extend(NAMES.iter().map(|name| at(place, name)));
    }
    for (number, (up, slash)) in UP
        .iter()
        .flat_map(|up| SLASH.iter().map(move |slash| (up, slash)))
        .enumerate()
    {
        let place = PLACES[number % PLACES.len()];
        let step = format!("{up}{slash}");
        // From one step up to where the canaries of every depth are.
        let way = format!("{}canary", step.repeat(1 + number % 5));
        targets.push(at(place, way.as_bytes()));
    }
    for (number, query) in QUERIES.iter().enumerate() {
        for place in [PLACES[number % 8], PLACES[(number + 3) % 8]] {
            let name = ["query", "1.0.0", "query.config"][number % 3];
            targets.push(at(&format!("{place}{query}"), name.as_bytes()));
        }
    }
    for before in BEFORE {
        targets.extend(WHOLE.map(|path| format!("{before}{path}").into()));
    }
    // At the limits of names, one beyond, and far beyond.
    for length in [63, 64, 128, 129, 255, 256, 5000] {
        for letter in ["x", "1", "%78"] {
            let name = letter.repeat(length);
            targets.extend(PLACES.iter().map(|place| at(place, name.as_bytes())));
        }
    }
    // `#` is no part of a target that is sent; the names are of their own, because proxies do not agree.
    targets.push(b"/artefacts/fragment/1.0.0/f#/../canary".to_vec());
    targets.push(b"/config/fragment/fragment.config#x".to_vec());
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    targets
}

/// A body that is accepted at a legal address.
pub(super) fn body(target: &[u8]) -> &'static [u8] {
    let is_channel = target
        .windows(b"/channels/".len())
        .any(|part| part == b"/channels/");
    if is_channel { b"0.1.0" } else { b"A=1\n" }
}
