//! `Content-Length`, and bodies of methods without one (RFC 9112, sections 6.2 and 6.3).

use super::cases::{Cases, HIDDEN, Reading, answers, refused, refused_or};
use super::codings::chunked;

/// Lengths that readers could parse differently.
pub(super) fn all(cases: &mut Cases) {
    let size = HIDDEN.len();
    for (length, is_valid) in [
        (format!("{size}"), true),
        (format!("{size} \t"), true),
        (format!("\t{size}"), true),
        (format!("000{size}"), true),
        (format!("+{size}"), false),
        (format!("-{size}"), false),
        (format!("0x{size:x}"), false),
        (format!("{size}.0"), false),
        (format!("{size}e0"), false),
        (format!("{size};"), false),
        (format!("\"{size}\""), false),
        (format!("{size} {size}"), false),
        (format!("{size}, 0"), false),
        (format!("0, {size}"), false),
        (format!("{size},"), false),
        (format!("1_0{size}"), false),
        (format!("{size}\0"), false),
        (format!("{size}\x0b"), false),
        (format!("{size}\u{a0}"), false),
        (format!("\u{661}{size}"), false),
        (
            format!("{}", u128::from(u64::MAX) + 1 + size as u128),
            false,
        ),
        (format!("{}", u64::MAX), false),
        (format!("{}", u64::MAX / 2 + 1), false),
        // Valid, but larger than the body. A 32-bit reader finds HIDDEN after one byte.
        (format!("{}", (1_u64 << 32) + 1), false),
        (String::new(), false),
        ("-0".to_owned(), false),
    ] {
        let readings = if is_valid { answers(&[201]) } else { refused() };
        cases.put(
            "CL",
            format!("Content-Length: {length}\r\n").as_bytes(),
            HIDDEN,
            readings,
        );
    }
    let same = format!("Content-Length: {size}, {size}\r\n");
    cases.put(
        "CL",
        same.as_bytes(),
        HIDDEN,
        refused_or(Reading::Answers(vec![201])),
    );
    let same = format!("Content-Length: {size}\r\n").repeat(2);
    cases.put(
        "CL",
        same.as_bytes(),
        HIDDEN,
        refused_or(Reading::Answers(vec![201])),
    );
    let other = |first: &str, second: &str| format!("{first}\r\n{second}\r\n");
    let length = format!("Content-Length: {size}");
    for fields in [
        other(&length, "Content-Length: 0"),
        other("Content-Length: 0", &length),
        other(&length, "content-length: 1"),
        other("CONTENT-LENGTH: 1", &length),
        other(&length, "Content-Length:"),
        other("Content-Length: +0", &length),
        other(&length, "Content-Length: x"),
        other(&length, "Content-Length : 0"),
        other("X: y", &format!("Content-Length : {size}")),
        other("X: y", &format!("Content-Length\t: {size}")),
        other("X: y", &format!("Content Length: {size}")),
        other("X: y", &format!("Content-Length\0: {size}")),
        other("X: y", &format!(": y\r\nContent-Length: {size}")),
        other(&length, " 0"),
        other("Content-Length:", &format!(" {size}\r\nContent-Length: 0")),
        other("X: y\rContent-Length: 0", &length),
    ] {
        cases.put("CLs", fields.as_bytes(), HIDDEN, refused());
    }
    for (method, path, status) in [
        ("GET", "/artefacts/own/1.0.0/f", 200),
        ("HEAD", "/artefacts/own/1.0.0/f", 200),
        ("DELETE", "/artefacts/none/1.0.0", 404),
        ("POST", "/artefacts/own/1.0.0/f", 405),
        ("PUT", "/artefacts/own/bad/f", 400),
        ("OPTIONS", "/artefacts/own/1.0.0/f", 405),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        let with_length = format!("{head}Content-Length: {size}\r\n\r\n{HIDDEN}");
        cases.add(
            format!("a body of {method} {path}"),
            with_length,
            answers(&[status]),
        );
        let in_chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunked());
        cases.add(
            format!("chunks of {method} {path}"),
            in_chunks,
            answers(&[status]),
        );
    }
}
