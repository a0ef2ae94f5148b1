//! Requests of which two readers could make different things. Where one hides a request, a reader who takes the
//! hiding place for a body, as RFC 9112 says, never sees it.

use super::{chunks, codings, intentions, lengths, lines};

/// What is hidden. Who executes it has read wrongly, whatever else happens.
pub(super) const HIDDEN: &str =
    "PUT /artefacts/smuggled/1.0.0/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";

/// What may become of a case, before the request that is sent behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// One refusal, and the end of the connection.
    Refused,
    /// These answers, and the next request is answered, too.
    Answers(Vec<u16>),
    /// These answers, and the end of the connection.
    Closes(Vec<u16>),
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// The first answer has no body.
    pub(super) is_head: bool,
    /// All that RFC 9112 allows.
    pub(super) readings: Vec<Reading>,
}

pub(super) fn refused() -> Vec<Reading> {
    vec![Reading::Refused]
}

pub(super) fn answers(statuses: &[u16]) -> Vec<Reading> {
    vec![Reading::Answers(statuses.into())]
}

/// Where the RFC leaves it to the server: refused, or read in this one way.
pub(super) fn refused_or(reading: Reading) -> Vec<Reading> {
    vec![Reading::Refused, reading]
}

#[derive(Debug, Default)]
pub(super) struct Cases(pub(super) Vec<Case>);

impl Cases {
    /// The carriers are `PUT`s to an address of their own, `GET`s, or whatever the bytes say.
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
        readings: Vec<Reading>,
    ) {
        let bytes = bytes.into();
        self.0.push(Case {
            name: name.into(),
            is_head: bytes.starts_with(b"HEAD"),
            bytes,
            readings,
        });
    }

    /// A `PUT` with these lines in its head, and this after it.
    pub(super) fn put(
        &mut self,
        name: &str,
        head: &[u8],
        body: impl AsRef<[u8]>,
        readings: Vec<Reading>,
    ) {
        let number = self.0.len();
        let begin =
            format!("PUT /artefacts/carrier/1.0.{number}/f HTTP/1.1\r\nHost: localhost\r\n");
        let bytes = [begin.as_bytes(), head, b"\r\n", body.as_ref()].concat();
        let name = format!("{name} {}", head.escape_ascii());
        self.add(name, bytes, readings);
    }
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = Cases::default();
    codings::both(&mut cases);
    codings::all(&mut cases);
    lengths::all(&mut cases);
    chunks::all(&mut cases);
    lines::request_lines(&mut cases);
    lines::heads(&mut cases);
    intentions::all(&mut cases);
    intentions::pipelines(&mut cases);
    cases.0
}
