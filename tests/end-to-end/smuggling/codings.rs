//! `Transfer-Encoding`, with and without `Content-Length` (RFC 9112, section 6.1).

use super::cases::{Cases, HIDDEN, Reading, answers, refused, refused_or};

/// A body whose only chunk is the hidden request.
pub(super) fn chunked() -> String {
    format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())
}

/// CL.TE and TE.CL. The server uses the coding and closes the connection (section 6.1), or refuses the request.
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

/// TE.TE: values that only some readers accept as `chunked`.
pub(super) fn all(cases: &mut Cases) {
    let is_chunked = || answers(&[201]);
    let is_optional = || refused_or(Reading::Answers(vec![201]));
    // The body ends with its chunks, but the server does not support the other coding.
    let is_unsupported = || refused_or(Reading::Answers(vec![501]));
    // An unknown field: the request has no body, and the following bytes are not a valid request.
    let is_unknown_field = || refused_or(Reading::Closes(vec![201, 400]));
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
        (b"Transfer-Encoding: identity, chunked", is_unsupported()),
        (b"Transfer-Encoding: gzip, chunked", is_unsupported()),
        (b"Transfer-Encoding: cow, chunked", is_unsupported()),
        (b"Transfer-Encoding: chunked, chunked", is_unsupported()),
        (b"Transfer-Encoding: chunked,", is_optional()),
        (
            b"Transfer-Encoding: , chunked",
            [is_optional(), is_unsupported()].concat(),
        ),
        (
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            is_unsupported(),
        ),
        (
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            is_unsupported(),
        ),
        (
            b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
            is_unsupported(),
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
        (b" Transfer-Encoding: chunked", is_unknown_field()),
        (b"X: y\r\n Transfer-Encoding: chunked", is_unknown_field()),
        (b"Transfer-Encoding:\r\n chunked", is_optional()),
        (b"Transfer-Encoding: chunked\r\n\tx", refused()),
        (b"X: y\rTransfer-Encoding: chunked", is_unknown_field()),
        (b"X: y\nTransfer-Encoding: chunked", is_optional()),
        (b"Transfer-Encoding: chunked\rX: y", refused()),
        (b"Transfer-Encoding: \x0bchunked", refused()),
        (b"Transfer-Encoding: chunked\x0c", refused()),
        (b"Transfer-Encoding: chunked\0", refused()),
        (b"Transfer-Encoding: chunked\xa0", refused()),
        (b"Transfer-Encoding\0: chunked", refused()),
        (b"Transfer-Encoding-: chunked", is_unknown_field()),
    ];
    for (field, readings) in fields {
        let head = [field, b"\r\n"].concat();
        cases.put("TE", &head, chunked(), readings.clone());
        // With a Content-Length, the server closes the connection. A reader that uses only the length finds HIDDEN
        // after the body.
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
