//! `Transfer-Encoding`, with a `Content-Length` and without (RFC 9112, section 6.1).

use super::cases::{Cases, HIDDEN, Reading, answers, refused, refused_or};

/// What is hidden as the one chunk of a body.
pub(super) fn chunked() -> String {
    format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())
}

/// CL.TE and TE.CL: the coding counts, and the connection ends (section 6.1); or it is refused.
pub(super) fn both(cases: &mut Cases) {
    let closes = || refused_or(Reading::Closes(vec![201]));
    let short = format!("0\r\n\r\n{HIDDEN}");
    let lengths = [
        "0",
        "3",
        "5",
        "1000",
        "x",
        "-1",
        "99999999999999999999",
        &short.len().to_string(),
    ]
    .map(str::to_owned);
    for length in &lengths {
        let (length, coding) = (
            format!("Content-Length: {length}\r\n"),
            "Transfer-Encoding: chunked\r\n",
        );
        for head in [
            format!("{length}{coding}"),
            format!("{coding}{length}"),
            format!("{length}X: y\r\n{coding}{length}"),
        ] {
            cases.put("CL.TE", head.as_bytes(), &short, closes());
            cases.put("TE.CL", head.as_bytes(), chunked(), closes());
        }
    }
}

/// TE.TE: codings that one reader takes for `chunked` and another does not.
pub(super) fn all(cases: &mut Cases) {
    let is_chunked = || answers(&[201]);
    let may_be = || refused_or(Reading::Answers(vec![201]));
    // It ends where its chunks do, and what they hold is no file.
    let is_not_understood = || refused_or(Reading::Answers(vec![501]));
    // A field that is none of ours: there is no body, and what comes is no request.
    let is_nothing = || refused_or(Reading::Closes(vec![201, 400]));
    let fields: [(&[u8], Vec<Reading>); 49] = [
        (b"Transfer-Encoding: chunked", is_chunked()),
        (b"Transfer-Encoding:chunked", is_chunked()),
        (b"Transfer-Encoding: \t chunked", is_chunked()),
        (b"Transfer-Encoding: chunked \t", is_chunked()),
        (b"transfer-encoding: CHUNKED", is_chunked()),
        (b"TRANSFER-ENCODING: cHuNkEd", is_chunked()),
        (b"Transfer-Encoding: xchunked", refused()),
        (b"Transfer-Encoding: chunkedx", refused()),
        (b"Transfer-Encoding: chunke", refused()),
        (b"Transfer-Encoding: chun ked", refused()),
        (b"Transfer-Encoding: chunked x", refused()),
        (b"Transfer-Encoding: x chunked", refused()),
        (b"Transfer-Encoding: \"chunked\"", refused()),
        (b"Transfer-Encoding: 'chunked'", refused()),
        (b"Transfer-Encoding: [chunked]", refused()),
        (b"Transfer-Encoding: chunked;q=1", refused()),
        (b"Transfer-Encoding: chunked, identity", refused()),
        (b"Transfer-Encoding: chunked, gzip", refused()),
        (b"Transfer-Encoding: identity", refused()),
        (b"Transfer-Encoding: gzip", refused()),
        (b"Transfer-Encoding:", refused()),
        (b"Transfer-Encoding: cow", refused()),
        (b"Transfer-Encoding: identity, chunked", is_not_understood()),
        (b"Transfer-Encoding: gzip, chunked", is_not_understood()),
        (b"Transfer-Encoding: cow, chunked", is_not_understood()),
        (b"Transfer-Encoding: chunked, chunked", is_not_understood()),
        (b"Transfer-Encoding: chunked,", may_be()),
        (
            b"Transfer-Encoding: , chunked",
            [may_be(), is_not_understood()].concat(),
        ),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            is_not_understood(),
        ),
        (
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            is_not_understood(),
        ),
        (
            b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
            is_not_understood(),
        ),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            refused(),
        ),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
            refused(),
        ),
        (
            b"Transfer-Encoding: chunked\r\ntransfer-encoding: x",
            refused(),
        ),
        (b"Transfer-Encoding : chunked", refused()),
        (b"Transfer-Encoding\t: chunked", refused()),
        (b" Transfer-Encoding: chunked", is_nothing()),
        (b"X: y\r\n Transfer-Encoding: chunked", is_nothing()),
        (b"Transfer-Encoding:\r\n chunked", may_be()),
        (b"Transfer-Encoding: chunked\r\n\tx", refused()),
        (b"X: y\rTransfer-Encoding: chunked", is_nothing()),
        (b"X: y\nTransfer-Encoding: chunked", may_be()),
        (b"Transfer-Encoding: chunked\rX: y", refused()),
        (b"Transfer-Encoding: \x0bchunked", refused()),
        (b"Transfer-Encoding: chunked\x0c", refused()),
        (b"Transfer-Encoding: chunked\0", refused()),
        (b"Transfer-Encoding: chunked\xa0", refused()),
        (b"Transfer-Encoding\0: chunked", refused()),
        (b"Transfer-Encoding-: chunked", is_nothing()),
    ];
    for (field, readings) in fields {
        let head = [field, b"\r\n"].concat();
        cases.put("TE", &head, chunked(), readings.clone());
        // With a length beside it nobody goes on afterwards; whoever goes by the length alone finds HIDDEN behind it.
        let length = chunked().find("PUT").unwrap();
        let head = [
            field,
            format!("\r\nContent-Length: {length}\r\n").as_bytes(),
        ]
        .concat();
        let closing = readings.iter().map(|reading| match reading {
            Reading::Answers(statuses) => Reading::Closes(statuses.clone()),
            other => other.clone(),
        });
        if !readings.contains(&Reading::Closes(vec![201, 400])) {
            cases.put(
                "TE and a length",
                &head,
                chunked(),
                closing.chain(refused()).collect(),
            );
        }
    }
}
