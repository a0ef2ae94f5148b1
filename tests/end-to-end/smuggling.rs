//! Request smuggling: ambiguous requests, sent to the server directly and through proxies. The server never executes a
//! hidden request, and no client gets the response of another.

mod cases;
mod chunks;
mod codings;
mod lengths;
mod lines;
mod semantics;

use std::net::SocketAddr;

use platformer_tests::http::Response;
use platformer_tests::proxy::{Change, Kind, Proxy};
use platformer_tests::server::Server;
use platformer_tests::wire::{Wire, stays_open};
use tempfile::TempDir;

use cases::{Case, Cases, Reading};

/// Sent after each case. Its response shows that both sides agree on the end of the case.
const NEXT: &str =
    "GET /artefacts/own/1.0.0/next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn all_cases() -> Vec<Case> {
    let mut cases = Cases::default();
    codings::both(&mut cases);
    codings::all(&mut cases);
    lengths::all(&mut cases);
    chunks::all(&mut cases);
    lines::request_lines(&mut cases);
    lines::heads(&mut cases);
    semantics::all(&mut cases);
    semantics::pipelines(&mut cases);
    cases.0
}

fn start_server() -> (TempDir, Server) {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("ANONYMOUS_WRITES", "true")]);
    server.publish("/artefacts/own/1.0.0/f", "own");
    server.publish("/artefacts/own/1.0.0/next", "next");
    (storage, server)
}

/// Sends a case and [`NEXT`], and returns all responses until the server closes the connection.
fn send_case(address: SocketAddr, case: &Case) -> Vec<Response> {
    let mut wire = Wire::open(address);
    wire.send(&[&case.bytes, NEXT.as_bytes()].concat());
    // Half-closing ends an incomplete request at once.
    wire.end();
    let mut answers = Vec::new();
    while let Some(answer) = wire.answer(case.is_head && answers.is_empty()) {
        answers.push(answer);
    }
    let rest = wire.remainder().escape_ascii().to_string();
    // nginx supports HTTP/0.9, whose responses have no head.
    let is_http_0_9 = !case.name.contains("HTTP/1") && answers.is_empty();
    assert!(rest.is_empty() || is_http_0_9, "{}: {rest}", case.name);
    answers
}

/// Whether the responses match one of the readings.
fn matches_any(answers: &[Response], readings: &[Reading]) -> bool {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    readings.iter().any(|reading| match reading {
        Reading::Refused => matches!(statuses[..], [400..=499 | 501 | 505]),
        Reading::Closes(expected) => statuses == *expected,
        Reading::Answers(expected) => {
            let (last, first) = answers.split_last().unwrap();
            statuses[..first.len()] == *expected && last.text() == "next"
        }
    })
}

#[test]
fn the_server_reads_requests_as_the_rfc_says_or_refuses_them() {
    let (_storage, server) = start_server();
    let cases = all_cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let answers = send_case(server.address, case);
        if !matches_any(&answers, &case.readings) {
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            wrong.push(format!(
                "{}: {statuses:?}, expected {:?}",
                case.name, case.readings
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.get("/artefacts/pipelined/1.0.0/f").text(), "x");
    let ended = server.stop();
    ended.expect(0).does_not_say("smuggled");
}

/// Files that other clients request meanwhile.
const OTHER_FILES: [&str; 3] = ["mine", "yours, and longer", ""];

/// A client that is unrelated to the case.
struct OtherClient {
    address: SocketAddr,
    wire: Option<Wire>,
}

impl OtherClient {
    fn request(&mut self, request: &str, is_head: bool) -> Response {
        let mut wire = self.wire.take().unwrap_or_else(|| Wire::open(self.address));
        wire.send(request.as_bytes());
        let answer = wire.answer(is_head).expect("an answer");
        self.wire = stays_open(&answer).then_some(wire);
        answer
    }

    /// Sends requests and asserts that the responses are its own. Returns the number of requests.
    fn send_requests(&mut self, number: usize, what: &str) -> u64 {
        for (file, content) in OTHER_FILES.iter().enumerate() {
            for method in ["GET", "HEAD"] {
                let request = format!(
                    "{method} /artefacts/innocent/1.0.0/{file} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                );
                let answer = self.request(&request, method == "HEAD");
                let length = answer.header("content-length").map(str::to_owned);
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert_eq!(length, Some(content.len().to_string()), "{what}");
                if method == "GET" {
                    assert_eq!(answer.text(), *content, "{what}");
                }
            }
        }
        let content = format!("{number}: {what}");
        let length = content.len();
        let path = format!("/artefacts/innocent/2.0.{number}/f");
        let put = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{content}"
        );
        assert_eq!(self.request(&put, false).status, 201, "{what}");
        let get = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(self.request(&get, false).text(), content, "{what}");
        8
    }
}

/// Returns the number of requests that the server has answered, and of its open connections.
fn metrics(server: &Server) -> (u64, u64) {
    let text = server.get("/metrics").text();
    let sum = |name: &str| {
        text.lines()
            .filter_map(|line| {
                line.strip_prefix(name)?
                    .rsplit(' ')
                    .next()?
                    .parse::<u64>()
                    .ok()
            })
            .sum()
    };
    (
        sum("repository_requests_total"),
        sum("repository_connections "),
    )
}

/// Returns the maximum number of responses. A proxy may refuse a request itself, keep its connection after a refusal, give
/// up, or repair a request. But it must not turn a case into more requests.
fn max_responses(readings: &[Reading]) -> usize {
    let counts = readings.iter().map(|reading| match reading {
        Reading::Refused => 1,
        Reading::Closes(statuses) | Reading::Answers(statuses) => statuses.len(),
    });
    counts.max().unwrap() + 1
}

#[test]
fn clients_of_a_proxy_get_only_their_own_responses() {
    Kind::installed().for_each(send_cases_through);
}

fn send_cases_through(kind: Kind) {
    let (_storage, server) = start_server();
    for (file, content) in OTHER_FILES.iter().enumerate() {
        server.publish(&format!("/artefacts/innocent/1.0.0/{file}"), content);
    }
    let changes: &[Change<'_>] = match kind {
        // A client that half-closes its connection still waits for its responses.
        Kind::Nginx => &[(
            "listen 80;",
            "listen 80;\n    proxy_ignore_client_abort on;",
        )],
        // The next client reuses the connection that forwarded the case.
        Kind::Haproxy => &[(
            "option forwardfor",
            "option forwardfor\n    http-reuse always",
        )],
    };
    let proxy = Proxy::start(kind, server.address, changes);
    let new_client = || OtherClient {
        address: proxy.address,
        wire: None,
    };
    let mut persistent_client = new_client();
    let (mut known, mut unknown, mut reused) = (metrics(&server).0, 0, 0);
    let cases = all_cases();
    for (number, case) in cases.iter().enumerate() {
        let what = format!("{kind}: {}", case.name);
        let answers = send_case(proxy.address, case);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(
            answers.len() <= max_responses(&case.readings),
            "{what}: {statuses:?}, expected {:?}",
            case.readings
        );
        known += persistent_client.send_requests(2 * number, &what)
            + new_client().send_requests(2 * number + 1, &what);
        // Only responses of the server have a request id. The proxy may also have forwarded a request and then
        // aborted it, with an error of its own or without a response.
        let is_from_server = |answer: &&Response| answer.header("x-request-id").is_some();
        known += answers.iter().filter(is_from_server).count() as u64;
        unknown += u64::from(answers.last().is_none_or(|answer| !is_from_server(&answer)));
        let (seen, connections) = metrics(&server);
        // The previous request for metrics.
        known += 1;
        assert!(
            (known..=known + unknown).contains(&seen),
            "{what}: {seen}, {known} and {unknown}"
        );
        // One connection is that of the metrics.
        reused += usize::from(connections > 1);
    }
    assert!(
        reused > cases.len() * 9 / 10,
        "{kind}: {reused} of {}",
        cases.len()
    );
    assert_eq!(server.get("/artefacts/pipelined/1.0.0/f").text(), "x");
    drop(proxy);
    let ended = server.stop();
    ended.expect(0).does_not_say("smuggled");
    let count = |path: &str| ended.stderr.matches(&format!(" path={path} ")).count();
    for number in 0..cases.len() {
        assert!(
            count(&format!("/artefacts/carrier/1.0.{number}/f")) <= 1,
            "{number}"
        );
    }
    for file in 0..OTHER_FILES.len() {
        let path = format!("/artefacts/innocent/1.0.0/{file}");
        assert_eq!(count(&path), 1 + 4 * cases.len(), "{path}");
    }
    assert!(count("/artefacts/own/1.0.0/next") <= 1 + cases.len());
}
