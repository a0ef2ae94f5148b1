//! A thousand spellings of paths, by every verb, to the server itself and by way of proxies. Only legal names are
//! ever written, nothing is read or changed that is not the store's, and a proxy changes nothing about that.

mod grammar;
mod names;
mod place;
mod targets;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use platformer_tests::http::Response;
use platformer_tests::proxy::{Kind, Proxy};
use platformer_tests::test;
use platformer_tests::wire::{Wire, stays_open};

use place::{CANARY, Place};
use targets::{body, targets};

const METHODS: [&str; 4] = ["GET", "HEAD", "PUT", "DELETE"];

/// Asks for every target by every verb, and returns the answers in that order.
fn ask_all(address: SocketAddr, targets: &[Vec<u8>]) -> Vec<Response> {
    let mut wire = None;
    let mut answers = Vec::new();
    for target in targets {
        for method in METHODS {
            let body = if method == "PUT" { body(target) } else { b"" };
            let target = replaced(target, address);
            let length = body.len();
            let rest = format!(" HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
            let request = [method.as_bytes(), b" ", &target, rest.as_bytes(), body].concat();
            let mut open = wire.take().unwrap_or_else(|| Wire::open(address));
            open.send(&request);
            let answer = open
                .answer(method == "HEAD")
                .unwrap_or_else(|| panic!("no answer to {}", shown(method, &target)));
            wire = stays_open(&answer).then_some(open);
            answers.push(answer);
        }
    }
    answers
}

fn replaced(target: &[u8], host: SocketAddr) -> Vec<u8> {
    match str::from_utf8(target) {
        Ok(text) => text.replace("HOST", &host.to_string()).into(),
        Err(_) => target.to_owned(),
    }
}

fn shown(method: &str, target: &[u8]) -> String {
    format!(
        "{method} {}",
        target[..target.len().min(200)].escape_ascii()
    )
}

/// What must hold of each answer, whoever gave it; returns what was written by those that say so.
fn judge(way: &str, targets: &[Vec<u8>], answers: &[Response]) -> BTreeSet<String> {
    let mut expected = BTreeSet::from(["/artefacts/hello/0.1.0/f".to_owned()]);
    for (target, answers) in targets.iter().zip(answers.chunks(METHODS.len())) {
        for (method, answer) in METHODS.iter().zip(answers) {
            let what = format!("{way}: {}: {}", shown(method, target), answer.status);
            // Nothing here is too much for the disk, which is all that may be the server's fault.
            assert!(answer.status < 500, "{what}");
            let told = format!("{:?} {}", answer.headers, answer.text());
            assert!(!told.contains(CANARY), "{what}");
            assert_eq!(answer.header("x-evil"), None, "{what}");
        }
        let [get, head, put, _] = answers else {
            panic!("an answer a method");
        };
        assert_eq!(get.status, head.status, "{way}: {}", shown("HEAD", target));
        let what = format!("{way}: {}: {}", shown("PUT", target), put.text());
        match (grammar::written(target), put.status) {
            (Some(name), 200 | 201) => {
                expected.insert(name);
            }
            (Some(_), _) => assert!(!is_of_the_server(put), "{what}: it is legal"),
            (None, status) => assert!(status >= 400, "{what}: it is not legal"),
        }
    }
    expected
}

/// A proxy refuses without asking, and without the id that each answer of the server has.
fn is_of_the_server(answer: &Response) -> bool {
    answer.header("x-request-id").is_some()
}

#[test]
fn a_thousand_spellings_write_legal_names_only() {
    let targets = targets();
    assert!(targets.len() >= 1000, "{}", targets.len());
    let ways: Vec<Option<Kind>> = [None]
        .into_iter()
        .chain(Kind::installed().map(Some))
        .collect();
    let all: Vec<Vec<Response>> = std::thread::scope(|scope| {
        let ways = ways.iter().map(|way| {
            let targets = &targets;
            scope.spawn(move || {
                let place = Place::new();
                let proxy = way.map(|kind| Proxy::start(kind, place.server.address, &[]));
                let address = proxy
                    .as_ref()
                    .map_or(place.server.address, |proxy| proxy.address);
                let answers = ask_all(address, targets);
                let way = way.map_or("directly".to_owned(), |kind| kind.to_string());
                let mut expected = judge(&way, targets, &answers);
                // Configs have no list.
                for config in expected.extract_if(.., |name| name.starts_with("/config/")) {
                    assert_eq!(place.server.get(&config).status, 200, "{way}: {config}");
                }
                assert_eq!(place.listed(), expected, "{way}");
                place.expect_untouched();
                answers
            })
        });
        let ways: Vec<_> = ways.collect();
        ways.into_iter().map(|way| way.join().unwrap()).collect()
    });
    let (direct, proxied) = all.split_first().unwrap();
    let mut passed = 0;
    let asked = targets
        .iter()
        .flat_map(|target| METHODS.map(|method| (method, target)));
    for (number, (method, target)) in asked.enumerate() {
        for (kind, answers) in ways[1..].iter().flatten().zip(proxied) {
            let (ours, theirs) = (&direct[number], &answers[number]);
            let what = format!("{kind}: {}", shown(method, target));
            // What proxies differ in is what they refuse by themselves: a path that leads above the root, bytes beyond
            // ASCII, a fragment, user-info, a port of 0, what is too long. Then the server has not even seen it.
            if is_of_the_server(theirs) {
                assert_eq!(theirs.status, ours.status, "{what}");
                assert_eq!(theirs.header("location"), ours.header("location"), "{what}");
                passed += 1;
            } else {
                assert!(
                    matches!(theirs.status, 400 | 414),
                    "{what}: {}",
                    theirs.status
                );
            }
        }
    }
    // Most of it is passed on: a proxy that refuses everything would prove nothing.
    assert!(passed >= 3000 * proxied.len(), "{passed}");
}
