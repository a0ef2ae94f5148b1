//! Requests that two readers could read differently, to the server itself and by way of proxies. What is hidden
//! in them is never executed, and nobody else gets an answer that is not theirs.

mod cases;
mod chunks;
mod codings;
mod intentions;
mod lengths;
mod lines;

use std::net::SocketAddr;

use platformer_tests::http::Response;
use platformer_tests::proxy::{Change, Kind, Proxy};
use platformer_tests::server::Server;
use platformer_tests::test;
use platformer_tests::wire::{Wire, stays_open};
use tempfile::TempDir;

use cases::{Case, Reading};

/// Sent behind each case: if it gets its answer, both sides agree on where the case ended.
const NEXT: &str =
    "GET /artefacts/own/1.0.0/next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn place() -> (TempDir, Server) {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("ANONYMOUS_WRITES", "true")]);
    server.publish("/artefacts/own/1.0.0/f", "own");
    server.publish("/artefacts/own/1.0.0/next", "the next one");
    (storage, server)
}

/// All answers to a case and the request behind it, until the other side closes.
fn play(address: SocketAddr, case: &Case) -> Vec<Response> {
    let mut wire = Wire::open(address);
    wire.send(&[&case.bytes, NEXT.as_bytes()].concat());
    // What was begun and cannot be ended is over at once.
    wire.end();
    let mut answers = Vec::new();
    while let Some(answer) = wire.answer(case.is_head && answers.is_empty()) {
        answers.push(answer);
    }
    let rest = wire.remainder().escape_ascii().to_string();
    // nginx still speaks HTTP/0.9, whose answers have no head.
    let is_old = !case.name.contains("HTTP/1") && answers.is_empty();
    assert!(rest.is_empty() || is_old, "{}: {rest}", case.name);
    answers
}

/// Whether these are the answers to one of the readings that are allowed.
fn is_one_of(answers: &[Response], readings: &[Reading]) -> bool {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    readings.iter().any(|reading| match reading {
        Reading::Refused => matches!(statuses[..], [400..=499 | 501 | 505]),
        Reading::Closes(expected) => statuses == *expected,
        Reading::Answers(expected) => {
            let (last, first) = answers.split_last().unwrap();
            statuses[..first.len()] == *expected && last.text() == "the next one"
        }
    })
}

#[test]
fn the_server_reads_as_the_rfc_says_or_not_at_all() {
    let (_storage, server) = place();
    let cases = cases::all();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let answers = play(server.address, case);
        if !is_one_of(&answers, &case.readings) {
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            wrong.push(format!(
                "{}: {statuses:?} and not {:?}",
                case.name, case.readings
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.get("/artefacts/pipelined/1.0.0/f").text(), "x");
    let ended = server.stop();
    ended.expect(0).does_not_say("smuggled");
}

/// What others ask for meanwhile, and what is theirs.
const INNOCENT: [&str; 3] = ["mine", "yours, and longer", ""];

/// Somebody who has nothing to do with the case.
struct Innocent {
    address: SocketAddr,
    wire: Option<Wire>,
}

impl Innocent {
    fn ask(&mut self, request: &str, is_head: bool) -> Response {
        let mut wire = self.wire.take().unwrap_or_else(|| Wire::open(self.address));
        wire.send(request.as_bytes());
        let answer = wire.answer(is_head).expect("an answer");
        self.wire = stays_open(&answer).then_some(wire);
        answer
    }

    /// Asks for what nobody else asks for, and returns how often.
    fn go_about(&mut self, number: usize, what: &str) -> u64 {
        for (file, content) in INNOCENT.iter().enumerate() {
            for method in ["GET", "HEAD"] {
                let request = format!(
                    "{method} /artefacts/innocent/1.0.0/{file} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                );
                let answer = self.ask(&request, method == "HEAD");
                let length = answer.header("content-length").map(str::to_owned);
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert_eq!(length, Some(content.len().to_string()), "{what}");
                if method == "GET" {
                    assert_eq!(answer.text(), *content, "{what}");
                }
            }
        }
        let content = format!("{number} and {what}");
        let length = content.len();
        let path = format!("/artefacts/innocent/2.0.{number}/f");
        let put = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{content}"
        );
        assert_eq!(self.ask(&put, false).status, 201, "{what}");
        let get = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(self.ask(&get, false).text(), content, "{what}");
        8
    }
}

/// What the server has answered, and how many connections to it are open.
fn figures(server: &Server) -> (u64, u64) {
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

/// A proxy may do more than a server: refuse without asking, go on with its client after a refusal, give up, and
/// mend what is broken. What it may not do is to make more requests of it than there are.
fn most_answers(readings: &[Reading]) -> usize {
    let of_the_case = readings.iter().map(|reading| match reading {
        Reading::Refused => 1,
        Reading::Closes(statuses) | Reading::Answers(statuses) => statuses.len(),
    });
    of_the_case.max().unwrap() + 1
}

#[test]
fn nobody_behind_a_proxy_gets_what_is_not_theirs() {
    Kind::installed().for_each(play_behind);
}

fn play_behind(kind: Kind) {
    let (_storage, server) = place();
    for (file, content) in INNOCENT.iter().enumerate() {
        server.publish(&format!("/artefacts/innocent/1.0.0/{file}"), content);
    }
    let changes: &[Change<'_>] = match kind {
        // A client that has said that it sends no more still waits for its answers.
        Kind::Nginx => &[(
            "listen 80;",
            "listen 80;\n    proxy_ignore_client_abort on;",
        )],
        // Whoever comes next gets the connection on which the case was passed on.
        Kind::Haproxy => &[(
            "option forwardfor",
            "option forwardfor\n    http-reuse always",
        )],
    };
    let proxy = Proxy::start(kind, server.address, changes);
    let innocent = || Innocent {
        address: proxy.address,
        wire: None,
    };
    let mut old = innocent();
    let (mut known, mut unknown, mut reused) = (figures(&server).0, 0, 0);
    let cases = cases::all();
    for (number, case) in cases.iter().enumerate() {
        let what = format!("{kind}: {}", case.name);
        let answers = play(proxy.address, case);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(
            answers.len() <= most_answers(&case.readings),
            "{what}: {statuses:?} and not {:?}",
            case.readings
        );
        known += old.go_about(2 * number, &what) + innocent().go_about(2 * number + 1, &what);
        // What the server has seen is what was answered with its id, and one that was passed on, and
        // then given up by the proxy, which says so by a refusal of its own or none.
        let is_theirs = |answer: &&Response| answer.header("x-request-id").is_some();
        known += answers.iter().filter(is_theirs).count() as u64;
        unknown += u64::from(answers.last().is_none_or(|answer| !is_theirs(&answer)));
        let (seen, connections) = figures(&server);
        // The one before this is counted by now.
        known += 1;
        assert!(
            (known..=known + unknown).contains(&seen),
            "{what}: {seen}, {known} and {unknown}"
        );
        // Besides the one that asked for the figures.
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
    for file in 0..INNOCENT.len() {
        let path = format!("/artefacts/innocent/1.0.0/{file}");
        assert_eq!(count(&path), 1 + 4 * cases.len(), "{path}");
    }
    assert!(count("/artefacts/own/1.0.0/next") <= 1 + cases.len());
}
