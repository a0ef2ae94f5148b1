//! Headers about the connection (RFC 9112, section 9), and pipelined requests.

use super::cases::{Cases, HIDDEN, Reading, answers, refused_or};
use super::lines::OWN;

/// Headers about the connection, on a request with the body `HIDDEN`.
pub(super) fn all(cases: &mut Cases) {
    let length = HIDDEN.len();
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for head in [
        "Connection: Content-Length\r\n",
        "Connection: keep-alive, Content-Length\r\n",
        "Connection: Host\r\n",
        "Connection: Transfer-Encoding\r\n",
        "Connection: X-Forwarded-For, Authorization\r\n",
        "Connection: \r\n",
        "Connection: ,,,\r\n",
        "Keep-Alive: timeout=1000, max=1000\r\n",
        "TE: chunked, trailers\r\n",
        "Trailer: Content-Length\r\n",
        "Expect: 100-continue\r\n",
        "Expect: 100-Continue\r\n",
        "Max-Forwards: 0\r\n",
        "X-HTTP-Method-Override: DELETE\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        upgrade,
        socket,
    ] {
        let head = format!("{head}Content-Length: {length}\r\n");
        cases.put("connection", head.as_bytes(), HIDDEN, answers(&[201]));
    }
    for expect in [
        "Expect: 200-ok",
        "Expect: 100-continue, x",
        "Expect:",
        "Expect: 100-continue\r\nExpect: 100-continue",
    ] {
        let head = format!("{expect}\r\nContent-Length: {length}\r\n");
        cases.put(
            "connection",
            head.as_bytes(),
            HIDDEN,
            refused_or(Reading::Answers(vec![201])),
        );
    }
    // The server answers without 100, then discards the body or closes the connection.
    for (method, path, status) in [
        ("GET", OWN, 200),
        ("HEAD", OWN, 200),
        ("PUT", "/artefacts/own/bad/f", 400),
        ("POST", OWN, 405),
    ] {
        for body in [
            format!("Content-Length: {length}\r\n\r\n{HIDDEN}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        ] {
            let bytes = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{body}"
            );
            let readings = vec![
                Reading::Answers(vec![status]),
                Reading::Closes(vec![status]),
                Reading::Refused,
            ];
            cases.add(
                format!("expects {method} {path} {}", &body[..10]),
                bytes,
                readings,
            );
        }
    }
    for upgrade in [upgrade, socket] {
        let bytes = format!(
            "GET {OWN} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        );
        cases.add(
            "an unsupported upgrade",
            bytes,
            vec![
                Reading::Refused,
                Reading::Closes(vec![200, 400]),
                Reading::Closes(vec![200]),
            ],
        );
    }
    http_1_0(cases);
}

/// HTTP/1.0 has no chunks, and closes the connection by default.
fn http_1_0(cases: &mut Cases) {
    let length = HIDDEN.len();
    let request = |head: &str, body: &str, number: u32| {
        format!(
            "PUT /artefacts/carrier/2.0.{number}/f HTTP/1.0\r\nHost: localhost\r\n{head}\r\n{body}"
        )
    };
    let (plain, persistent) = (
        format!("Content-Length: {length}\r\n"),
        format!("Connection: keep-alive\r\nContent-Length: {length}\r\n"),
    );
    cases.add(
        "HTTP/1.0",
        request(&plain, HIDDEN, 0),
        vec![Reading::Closes(vec![201])],
    );
    cases.add(
        "HTTP/1.0, persistent",
        request(&persistent, HIDDEN, 1),
        vec![Reading::Answers(vec![201]), Reading::Closes(vec![201])],
    );
    let chunks = format!("0\r\n\r\n{HIDDEN}");
    cases.add(
        "HTTP/1.0 with chunks",
        request("Transfer-Encoding: chunked\r\n", &chunks, 2),
        refused_or(Reading::Closes(vec![201])),
    );
    cases.add(
        "HTTP/1.0 with chunks and a length",
        request(
            &format!("{persistent}Transfer-Encoding: chunked\r\n"),
            &chunks,
            3,
        ),
        refused_or(Reading::Closes(vec![201])),
    );
    cases.add(
        "HTTP/1.0 with Expect",
        request(&format!("Expect: 100-continue\r\n{plain}"), HIDDEN, 4),
        vec![Reading::Closes(vec![201])],
    );
}

/// Valid pipelines. The other cases prove something only if the server answers these.
pub(super) fn pipelines(cases: &mut Cases) {
    let get = format!("GET {OWN} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let put = "PUT /artefacts/pipelined/1.0.0/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    cases.add("pipelined", get.repeat(5), answers(&[200; 5]));
    cases.add(
        "pipelined",
        format!("{get}{put}{get}{put}"),
        answers(&[200, 201, 200, 200]),
    );
    cases.add(
        "pipelined",
        format!("{put}\r\n{get}"),
        vec![
            Reading::Answers(vec![200, 200]),
            Reading::Closes(vec![200, 400]),
        ],
    );
    cases.add(
        "pipelined",
        format!(
            "{}{get}",
            get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        ),
        vec![Reading::Closes(vec![200])],
    );
}
