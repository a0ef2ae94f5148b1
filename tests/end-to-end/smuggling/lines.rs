//! Request lines and header lines (RFC 9112, sections 2, 3 and 5).

use super::cases::{Cases, Reading, refused, refused_or};

pub(super) const OWN: &str = "/artefacts/own/1.0.0/f";

pub(super) fn request_lines(cases: &mut Cases) {
    let lenient = || refused_or(Reading::Answers(vec![200]));
    let rest = "\r\nHost: localhost\r\n\r\n";
    for (line, readings) in [
        (format!("GET  {OWN} HTTP/1.1"), lenient()),
        (format!("GET {OWN}  HTTP/1.1"), lenient()),
        (format!("GET\t{OWN} HTTP/1.1"), lenient()),
        (format!("GET {OWN}\tHTTP/1.1"), lenient()),
        (format!("GET {OWN} HTTP/1.1 "), lenient()),
        (format!("GET\x0b{OWN} HTTP/1.1"), lenient()),
        (format!(" GET {OWN} HTTP/1.1"), refused()),
        (format!("GET {OWN} x HTTP/1.1"), refused()),
        (format!("GET {OWN}\0 HTTP/1.1"), refused()),
        (format!("GET {OWN}\r HTTP/1.1"), refused()),
        (format!("G\0ET {OWN} HTTP/1.1"), refused()),
        (format!("GE T {OWN} HTTP/1.1"), refused()),
        (format!("GET: {OWN} HTTP/1.1"), refused()),
        (format!("\u{feff}GET {OWN} HTTP/1.1"), refused()),
        (format!("\0GET {OWN} HTTP/1.1"), refused()),
        (format!("GET {OWN} HTTP/1.1\r"), refused()),
        (format!("GET {OWN} HTTP/1.1 HTTP/1.1"), refused()),
        (format!("GET {OWN} http/1.1"), refused()),
        (format!("GET {OWN} HTTP/1,1"), refused()),
        (format!("GET {OWN} HTTP/11"), refused()),
        (format!("GET {OWN} HTTP/1.10"), refused()),
        (format!("GET {OWN} HTTP /1.1"), refused()),
        (format!("GET {OWN} HTTP/+1.1"), refused()),
        (format!("GET {OWN} HTTP/2.0"), refused()),
        (format!("GET {OWN} HTTP/0.9"), refused()),
        (format!("GET {OWN} HTTP/1.2"), lenient()),
        (format!("GET {OWN} HTTP/"), refused()),
        (format!("GET {OWN} ICAP/1.0"), refused()),
        (format!("GET {OWN} "), refused()),
        (format!("GET {OWN}"), refused()),
        ("GET HTTP/1.1".to_owned(), refused()),
        ("GET  HTTP/1.1".to_owned(), refused()),
        ("GET".to_owned(), refused()),
        (format!("{OWN} HTTP/1.1"), refused()),
        ("GET artefacts/own/1.0.0/f HTTP/1.1".to_owned(), refused()),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n".to_owned(),
            refused_or(Reading::Closes(vec![])),
        ),
        ("\x16\x03\x01\x02\0\x01\0".to_owned(), refused()),
        (format!("GET {OWN} HTTP/1.1\nX: y"), lenient()),
        (format!("\r\nGET {OWN} HTTP/1.1"), lenient()),
        (format!("\r\n\r\n\r\nGET {OWN} HTTP/1.1"), lenient()),
        (format!("\nGET {OWN} HTTP/1.1"), lenient()),
        (format!("\r\r\nGET {OWN} HTTP/1.1"), refused()),
        (format!("GET http://other.example{OWN} HTTP/1.1"), lenient()),
        (format!("GET http://localhost:1{OWN} HTTP/1.1"), lenient()),
        (
            format!("get {OWN} HTTP/1.1"),
            refused_or(Reading::Answers(vec![405])),
        ),
        (
            format!("BREW {OWN} HTTP/1.1"),
            refused_or(Reading::Answers(vec![405])),
        ),
        (
            format!("TRACE {OWN} HTTP/1.1"),
            refused_or(Reading::Answers(vec![405])),
        ),
        (
            "OPTIONS * HTTP/1.1".to_owned(),
            refused_or(Reading::Answers(vec![404])),
        ),
        (
            "GET * HTTP/1.1".to_owned(),
            refused_or(Reading::Answers(vec![404])),
        ),
        (
            "CONNECT localhost:1 HTTP/1.1".to_owned(),
            refused_or(Reading::Answers(vec![404])),
        ),
        (
            format!("GET {OWN}?{} HTTP/1.1", "x".repeat(70_000)),
            refused(),
        ),
        (format!("{} {OWN} HTTP/1.1", "G".repeat(70_000)), refused()),
    ] {
        let name = format!("line {}", line[..line.len().min(60)].escape_debug());
        cases.add(name, line + rest, readings);
    }
    // HTTP/0.9 has no head.
    cases.add("HTTP/0.9", format!("GET {OWN}\r\n"), refused());
}

pub(super) fn heads(cases: &mut Cases) {
    // A missing or duplicate Host.
    let no_host = || refused_or(Reading::Answers(vec![400]));
    let lenient = || refused_or(Reading::Answers(vec![200]));
    for (head, readings) in [
        ("Host: a\r\nHost: b\r\n".to_owned(), no_host()),
        ("Host: a\r\nHost: a\r\n".to_owned(), no_host()),
        ("Host: a\r\nhOST: b\r\n".to_owned(), no_host()),
        (String::new(), no_host()),
        ("Host : a\r\n".to_owned(), refused()),
        (" Host: a\r\n".to_owned(), refused()),
        ("Host\r\n".to_owned(), refused()),
        ("Host: a\0\r\n".to_owned(), refused()),
        ("Host: a\rX: y\r\n".to_owned(), refused()),
        ("Host:\r\n".to_owned(), lenient()),
        ("Host: a\r\nX\r\n".to_owned(), refused()),
        ("Host: a\r\n: y\r\n".to_owned(), refused()),
        ("Host: a\r\nX y: z\r\n".to_owned(), refused()),
        ("Host: a\r\nX\x01: y\r\n".to_owned(), refused()),
        ("Host: a\r\n\u{fc}: y\r\n".to_owned(), refused()),
        ("Host: a\r\nX(: y\r\n".to_owned(), refused()),
        ("Host: a\r\nX: y\0z\r\n".to_owned(), refused()),
        ("Host: a\r\nX: y\rz\r\n".to_owned(), refused()),
        ("Host: a\r\nX: y\x01z\r\n".to_owned(), lenient()),
        ("Host: a\r\nX: y\r\n z\r\n".to_owned(), lenient()),
        ("Host: a\r\n z\r\n".to_owned(), lenient()),
        ("Host: a\nX: y\r\n".to_owned(), lenient()),
        ("Host: a\nX: y\n".to_owned(), lenient()),
        ("Host: a\r\r\n".to_owned(), refused()),
        ("Host: a\r\nX: \u{fc}\r\n".to_owned(), lenient()),
        ("Host: a\r\nCookie:\r\n".to_owned(), lenient()),
        (format!("Host: a\r\n{}", "X: y\r\n".repeat(150)), refused()),
        (
            format!("Host: a\r\n{}", "X: y\r\n".repeat(20_000)),
            refused(),
        ),
        (
            format!("Host: a\r\nX: {}\r\n", "y".repeat(70_000)),
            refused(),
        ),
        (
            format!("Host: a\r\n{}: y\r\n", "X".repeat(70_000)),
            refused(),
        ),
        (
            format!("Host: a\r\nX: {}\r\n", "y".repeat(1 << 20)),
            refused(),
        ),
    ] {
        let name = format!("head {}", head[..head.len().min(60)].escape_debug());
        cases.add(name, format!("GET {OWN} HTTP/1.1\r\n{head}\r\n"), readings);
    }
    // Variants of the blank line between head and body.
    for (end, readings) in [
        ("\n", lenient()),
        ("\n\n", lenient()),
        ("\r\n\n", lenient()),
        ("\r\n\r\r\n", refused()),
        ("\r\n \r\n", lenient()),
        ("\r\n\0\r\n", refused()),
    ] {
        let bytes = format!(
            "GET {OWN} HTTP/1.1\r\nHost: a{end}{}",
            if end == "\n" { "\r\n" } else { "" }
        );
        cases.add(format!("end {}", end.escape_debug()), bytes, readings);
    }
}
