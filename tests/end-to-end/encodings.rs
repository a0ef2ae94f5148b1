//! Path traversal and encoding tricks: a thousand request targets with every method, to the server directly and through
//! proxies. The server writes only legal names, and never touches files outside its store.

mod grammar;
mod names;
mod sandbox;
mod targets;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use platformer_tests::http::Response;
use platformer_tests::proxy::{Kind, Proxy};
use platformer_tests::wire::{Wire, stays_open};

use sandbox::{CANARY, Sandbox};
use targets::{body, targets};

const METHODS: [&str; 4] = ["GET", "HEAD", "PUT", "DELETE"];

/// Requests every target with every method, and returns the responses in that order.
fn request_all(address: SocketAddr, targets: &[Vec<u8>]) -> Vec<Response> {
    let mut wire = None;
    let mut answers = Vec::new();
    for target in targets {
        for method in METHODS {
            let body = if method == "PUT" { body(target) } else { b"" };
            let target = with_host(target, address);
            let length = body.len();
            let rest = format!(" HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
            let request = [method.as_bytes(), b" ", &target, rest.as_bytes(), body].concat();
            let mut connection = wire.take().unwrap_or_else(|| Wire::open(address));
            connection.send(&request);
            let answer = connection
                .answer(method == "HEAD")
                .unwrap_or_else(|| panic!("no answer to {}", describe(method, &target)));
            wire = stays_open(&answer).then_some(connection);
            answers.push(answer);
        }
    }
    answers
}

fn with_host(target: &[u8], host: SocketAddr) -> Vec<u8> {
    match str::from_utf8(target) {
        Ok(text) => text.replace("HOST", &host.to_string()).into(),
        Err(_) => target.to_owned(),
    }
}

fn describe(method: &str, target: &[u8]) -> String {
    format!(
        "{method} {}",
        target[..target.len().min(200)].escape_ascii()
    )
}

/// Asserts that each response is safe, and returns the paths that the responses report as written.
fn check(route: &str, targets: &[Vec<u8>], answers: &[Response]) -> BTreeSet<String> {
    let mut expected = BTreeSet::from(["/artefacts/hello/0.1.0/f".to_owned()]);
    for (target, answers) in targets.iter().zip(answers.chunks(METHODS.len())) {
        for (method, answer) in METHODS.iter().zip(answers) {
            let what = format!("{route}: {}: {}", describe(method, target), answer.status);
            // No request is large enough for an error of the disk, so each 5xx is a bug.
            assert!(answer.status < 500, "{what}");
            let response = format!("{:?} {}", answer.headers, answer.text());
            assert!(!response.contains(CANARY), "{what}");
            assert_eq!(answer.header("x-evil"), None, "{what}");
        }
        let [get, head, put, _] = answers else {
            panic!("one response per method");
        };
        assert_eq!(
            get.status,
            head.status,
            "{route}: {}",
            describe("HEAD", target)
        );
        let what = format!("{route}: {}: {}", describe("PUT", target), put.text());
        match (grammar::written(target), put.status) {
            (Some(name), 200 | 201) => {
                expected.insert(name);
            }
            (Some(_), _) => assert!(!is_from_server(put), "{what}: a legal target was refused"),
            (None, status) => assert!(status >= 400, "{what}: an illegal target was accepted"),
        }
    }
    expected
}

/// Responses of the server have an id. Those that a proxy makes itself have none.
fn is_from_server(answer: &Response) -> bool {
    answer.header("x-request-id").is_some()
}

#[test]
fn a_thousand_targets_write_only_legal_names() {
    let targets = targets();
    assert!(targets.len() >= 1000, "{}", targets.len());
    let routes: Vec<Option<Kind>> = [None]
        .into_iter()
        .chain(Kind::installed().map(Some))
        .collect();
    let all: Vec<Vec<Response>> = std::thread::scope(|scope| {
        let threads = routes.iter().map(|route| {
            let targets = &targets;
            scope.spawn(move || {
                let sandbox = Sandbox::new();
                let proxy = route.map(|kind| Proxy::start(kind, sandbox.server.address, &[]));
                let address = proxy
                    .as_ref()
                    .map_or(sandbox.server.address, |proxy| proxy.address);
                let answers = request_all(address, targets);
                let route = route.map_or("direct".to_owned(), |kind| kind.to_string());
                let mut expected = check(&route, targets, &answers);
                // The server has no list of configs.
                for config in expected.extract_if(.., |name| name.starts_with("/config/")) {
                    assert_eq!(sandbox.server.get(&config).status, 200, "{route}: {config}");
                }
                assert_eq!(sandbox.listed(), expected, "{route}");
                sandbox.assert_untouched();
                answers
            })
        });
        let threads: Vec<_> = threads.collect();
        let responses = threads.into_iter().map(|thread| thread.join().unwrap());
        responses.collect()
    });
    let (direct, proxied) = all.split_first().unwrap();
    let mut passed = 0;
    let requests = targets
        .iter()
        .flat_map(|target| METHODS.map(|method| (method, target)));
    for (number, (method, target)) in requests.enumerate() {
        for (kind, answers) in routes[1..].iter().flatten().zip(proxied) {
            let (ours, theirs) = (&direct[number], &answers[number]);
            let what = format!("{kind}: {}", describe(method, target));
            // Proxies may refuse some targets themselves: a path above the root, bytes beyond ASCII, a fragment, user
            // information, port 0, or a target that is too long. The server then never sees the request.
            if is_from_server(theirs) {
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
    // Most requests must reach the server: a proxy that refuses them all would prove nothing.
    assert!(passed >= 3000 * proxied.len(), "{passed}");
}
