//! Ambiguous requests. Some hide another request in a place that is a body by RFC 9112, so a correct reader never sees
//! it.

/// The hidden request. A reader that executes it has a smuggling bug.
pub(super) const HIDDEN: &str =
    "PUT /artefacts/smuggled/1.0.0/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";

/// A permitted outcome of a case and the request after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// A refusal, then the end of the connection.
    Refused,
    /// These responses, then the response to the next request.
    Answers(Vec<u16>),
    /// These responses, then the end of the connection.
    Closes(Vec<u16>),
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// The first response has no body.
    pub(super) is_head: bool,
    /// All outcomes that RFC 9112 permits.
    pub(super) readings: Vec<Reading>,
}

pub(super) fn refused() -> Vec<Reading> {
    vec![Reading::Refused]
}

pub(super) fn answers(statuses: &[u16]) -> Vec<Reading> {
    vec![Reading::Answers(statuses.into())]
}

/// The RFC permits a refusal or this reading.
pub(super) fn refused_or(reading: Reading) -> Vec<Reading> {
    vec![Reading::Refused, reading]
}

#[derive(Debug, Default)]
pub(super) struct Cases(pub(super) Vec<Case>);

impl Cases {
    /// Adds a case with arbitrary bytes.
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

    /// Adds a `PUT` to its own path, with additional header lines and a body.
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
