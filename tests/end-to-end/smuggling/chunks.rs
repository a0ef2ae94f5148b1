//! Chunks: sizes, extensions, ends and trailers (RFC 9112, section 7.1).

use super::cases::{Cases, HIDDEN, Reading, answers, refused, refused_or};

/// Shortens a long text to its beginning and end.
fn shorten(text: &str) -> String {
    match (text.get(..40), text.get(text.len().saturating_sub(40)..)) {
        (Some(begin), Some(end)) => format!("{}…{}", begin.escape_debug(), end.escape_debug()),
        _ => text.escape_debug().to_string(),
    }
}

pub(super) fn all(cases: &mut Cases) {
    let size = format!("{:x}", HIDDEN.len());
    let one = |line: &str| format!("{line}{HIDDEN}\r\n0\r\n\r\n");
    let end = |end: &str| format!("{size}\r\n{HIDDEN}\r\n{end}");
    let (good, bad, optional) = (0, 1, 2);
    let long = "x".repeat(20_000);
    let bodies = [
        (one(&format!("{size}\r\n")), good),
        (one(&format!("{}\r\n", size.to_uppercase())), good),
        (one(&format!("000{size}\r\n")), good),
        (one(&format!("{size};x\r\n")), good),
        (one(&format!("{size};x=y;z=\"q\"\r\n")), good),
        (one(&format!("{size} ;x\r\n")), optional),
        (one(&format!("{size} \r\n")), optional),
        (one(&format!("{size};{long}\r\n")), optional),
        (one(&format!("{}{size}\r\n", "0".repeat(40))), optional),
        (one(&format!("{size}\n")), optional),
        (one(&format!("{size};x\n")), optional),
        (one(&format!("{size};x\rGET\r\n")), bad),
        (one(&format!("{size}\r")), bad),
        (one(&format!("{size}\r\r\n")), bad),
        (one(&format!(" {size}\r\n")), bad),
        (one(&format!("\t{size}\r\n")), bad),
        (one(&format!("0x{size}\r\n")), bad),
        (one(&format!("+{size}\r\n")), bad),
        (one(&format!("-{size}\r\n")), bad),
        (one(&format!("{size}g\r\n")), bad),
        (one(&format!("{size}_0\r\n")), bad),
        (one(&format!("{size}\0\r\n")), bad),
        (one(&format!("{size} {size}\r\n")), bad),
        (one(";x\r\n"), bad),
        (one("\r\n"), bad),
        (one(&format!("1{:016x}\r\n", HIDDEN.len())), bad),
        (one("ffffffffffffffff\r\n"), bad),
        (one("8000000000000000\r\n"), bad),
        (one("fffffffffffffff6\r\n"), bad),
        (format!("5\r\n{HIDDEN}\r\n0\r\n\r\n"), bad),
        (format!("{size}\r\n{HIDDEN}0\r\n\r\n"), bad),
        (format!("{size}\r\n{HIDDEN}\n0\r\n\r\n"), optional),
        (format!("{size}\r\n{HIDDEN}\r0\r\n\r\n"), bad),
        (format!("{size}\r\n{HIDDEN}\r\n\r\n0\r\n\r\n"), bad),
        (format!("{size}\r\n{HIDDEN}XX0\r\n\r\n"), bad),
        (end("00000\r\n\r\n"), good),
        (end("0;x=y\r\n\r\n"), good),
        (end("0\r\nX: y\r\n\r\n"), good),
        (end("0\r\nContent-Length: 1000\r\n\r\n"), good),
        (end("0\r\nTransfer-Encoding: chunked\r\n\r\n"), good),
        (
            end("0\r\nTransfer-Encoding: identity\r\nHost: other\r\n\r\n"),
            good,
        ),
        (
            end("0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
            good,
        ),
        (end("0\n\n"), optional),
        (end("0\r\n\n"), optional),
        (end("-0\r\n\r\n"), bad),
        (end(" 0\r\n\r\n"), bad),
        (end(&format!("0\r\n{HIDDEN}")), bad),
        (end("0\r\nX : y\r\n\r\n"), optional),
        (end("0\r\n: y\r\n\r\n"), optional),
        (end("0\r\nX: y\0\r\n\r\n"), optional),
        (end(&format!("0\r\nX: {long}\r\n\r\n")), optional),
        (
            end(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(200))),
            optional,
        ),
    ];
    for (body, kind) in bodies {
        let head = b"Transfer-Encoding: chunked\r\n";
        let readings = match kind {
            0 => answers(&[201]),
            1 => refused(),
            _ => refused_or(Reading::Answers(vec![201])),
        };
        let name = format!("chunks {}", shorten(&body));
        cases.put(&name, head, &body, readings);
        if body.ends_with("0\r\n\n") {
            // hyper 1.12 treats the data after that line feed as trailers, up to the next blank line, and drops them.
            // The next request is lost, but not executed as another one.
            let readings = &mut cases.0.last_mut().unwrap().readings;
            readings.push(Reading::Closes(vec![201]));
        }
        // The server answers before it reads the body, and finds an invalid body afterwards.
        let bytes = format!(
            "GET /artefacts/own/1.0.0/f HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let readings = match kind {
            0 => answers(&[200]),
            1 => refused_or(Reading::Closes(vec![200])),
            _ => vec![
                Reading::Refused,
                Reading::Closes(vec![200]),
                Reading::Answers(vec![200]),
            ],
        };
        cases.add(format!("GET with {name}"), bytes, readings);
    }
}
