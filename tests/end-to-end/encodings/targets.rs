//! Request targets: illegal names, path traversals and encoded legal names, in each position of a path.

use std::collections::BTreeSet;

use super::names::{NAMES, SLASH, UP};

/// Paths with a position for a name.
const PATHS: [&str; 8] = [
    "/artefacts/{}/1.0.0/f",
    "/artefacts/hello/{}/f",
    "/artefacts/hello/1.0.0/{}",
    "/artefacts/hello/{}",
    "/config/{}/hello.config",
    "/config/hello/{}",
    "/channels/hello/{}",
    "/releases/hello/{}",
];

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

/// Prefixes of legal paths.
const PREFIXES: [&str; 26] = [
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

const LEGAL_PATHS: [&str; 4] = [
    "/artefacts/whole/1.0.0/f",
    "/config/whole/whole.config",
    "/channels/hello/whole",
    "/../canary",
];

/// Returns all targets without duplicates, in a fixed order.
pub(super) fn targets() -> Vec<Vec<u8>> {
    let mut targets = Vec::new();
    let insert = |path: &str, name: &[u8]| {
        let (before, after) = path.split_once("{}").unwrap();
        [before.as_bytes(), name, after.as_bytes()].concat()
    };
    for path in PATHS {
        targets.extend(NAMES.iter().map(|name| insert(path, name)));
    }
    for (number, (up, slash)) in UP
        .iter()
        .flat_map(|up| SLASH.iter().map(move |slash| (up, slash)))
        .enumerate()
    {
        let path = PATHS[number % PATHS.len()];
        let step = format!("{up}{slash}");
        // Between one and five levels up, because there are canaries at every level.
        let traversal = format!("{}canary", step.repeat(1 + number % 5));
        targets.push(insert(path, traversal.as_bytes()));
    }
    for (number, query) in QUERIES.iter().enumerate() {
        for path in [PATHS[number % 8], PATHS[(number + 3) % 8]] {
            let name = ["query", "1.0.0", "query.config"][number % 3];
            targets.push(insert(&format!("{path}{query}"), name.as_bytes()));
        }
    }
    for prefix in PREFIXES {
        targets.extend(LEGAL_PATHS.map(|path| format!("{prefix}{path}").into()));
    }
    // Names at the limits of length, just above and far above.
    for length in [63, 64, 128, 129, 255, 256, 5000] {
        for letter in ["x", "1", "%78"] {
            let name = letter.repeat(length);
            targets.extend(PATHS.iter().map(|path| insert(path, name.as_bytes())));
        }
    }
    // A fragment is not part of a request target, and proxies treat it differently. So these targets have their own names.
    targets.push(b"/artefacts/fragment/1.0.0/f#/../canary".to_vec());
    targets.push(b"/config/fragment/fragment.config#x".to_vec());
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    targets
}

/// Returns a body that the server accepts at a legal path.
pub(super) fn body(target: &[u8]) -> &'static [u8] {
    let is_channel = target
        .windows(b"/channels/".len())
        .any(|part| part == b"/channels/");
    if is_channel { b"0.1.0" } else { b"A=1\n" }
}
