//! Request targets: names that are none, ways out of the store, and other spellings of what is legal; each at
//! the places of an address where a name belongs.

use std::collections::BTreeSet;

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

const UP: [&str; 16] = [
    "..",
    "%2e%2e",
    ".%2E",
    "%2e.",
    "%252e%252e",
    "%25%32%65%25%32%65",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "\u{2024}\u{2024}",
    "%ef%bc%8e%ef%bc%8e",
    "..;",
    "..%00",
    "...",
    "..%20",
    "..%0d",
];

const SLASH: [&str; 16] = [
    "/",
    "%2f",
    "%2F",
    "%252f",
    "\\",
    "%5c",
    "%255c",
    "//",
    "/./",
    "%c0%af",
    "%e0%80%af",
    "%ef%bc%8f",
    "\u{2215}",
    "%u2215",
    ";/",
    "%00/",
];

const NAMES: [&[u8]; 100] = [
    // Other spellings of legal names, and what only looks like one.
    b"hello",
    b"%68ello",
    b"%68%65%6C%6c%6F",
    b"%48ello",
    b"HELLO",
    b"1.0.0",
    b"%31.0.0",
    b"1%2e0%2E0",
    b"1.0.0+a",
    b"1.0.0%2Ba",
    b"1.0.0%20a",
    b"%2531.0.0",
    b"hello.config",
    b"hello%2econfig",
    b"production.config",
    b"product%69on.config",
    b"stable",
    b"st%61ble",
    // Cut, broken and superfluous escapes.
    b"hello%",
    b"hello%2",
    b"hello%zz",
    b"hello%%61",
    b"hello%u0061",
    b"hello%25",
    // Bytes that are no text, or no printable one.
    b"hello%00",
    b"%00hello",
    b"hello%00.config",
    b"hello%0a",
    b"hello%0d%0aX-Evil:%20y",
    b"hello%09",
    b"hello%20",
    b"%20hello",
    b"hello%7f",
    b"hello%1b[31m",
    b"hello%ff",
    b"hello%c3%28",
    b"hello%ed%a0%80",
    b"hel\x01lo",
    b"hel\x7flo",
    b"hel\tlo",
    b"hel lo",
    b"hel\0lo",
    b"hel\x80lo",
    b"hel\xff\xfelo",
    b"hel\"lo",
    b"hel<script>lo",
    b"hel`id`lo",
    b"hel{lo}",
    b"hel|lo^",
    // Look-alikes: full width, Cyrillic, nothing at all, combining, of another case.
    b"%ef%bd%88ello",
    b"\xef\xbd\x88ello",
    b"hell%d0%be",
    b"hell\xd0\xbe",
    b"hello%e2%80%8b",
    b"hello%cc%81",
    b"hello%e2%84%aa",
    b"%ef%bc%91.0.0",
    b"%d9%a1.0.0",
    // Dots and blanks at the ends, and nothing but them.
    b"hello.",
    b"hello..",
    b".hello",
    b"-hello",
    b"hello-",
    b".",
    b"%2e",
    b"..",
    b"%2e%2e",
    b"",
    b"%20",
    b"~",
    b"*",
    // What means something to somebody else.
    b"hello;x=1",
    b"hello@r1",
    b"hello:80",
    b"hello,f",
    b"$HOME",
    b"CON",
    b"NUL.config",
    b"%2fetc%2fpasswd",
    b"file:%2f%2f%2fetc%2fpasswd",
    b"C:%5cwindows",
    // What the server keeps for itself.
    b"_default",
    b"%5fdefault",
    b"_default.config",
    b"_tokens",
    b"%5Ftokens",
    b"..%2f_tokens",
    b"latest",
    b"r1",
    b"r%31",
    b"app.config",
    b"default.config",
    b"y%61nked",
    b"Yanked",
    // Sidecars.
    b"f.sha256",
    b"f%2esha256",
    b"f.sha256.sha256",
    b"%2esha256",
    b"f.minisig",
    b"r1%2eminisig",
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
