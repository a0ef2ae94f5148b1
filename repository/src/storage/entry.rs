//! The format of a log entry: two copies, each a line of JSON and a line with its SHA-256. A flipped bit damages one
//! copy, and the entry is repaired from the other one. `head -1` shows the event.

use bytes::Bytes;
use repository_api::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Events that happen together, or not at all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry<E> {
    pub(crate) number: u64,
    /// Id of the attempt to write the entry. A writer that got no answer recognises its own entry by it.
    pub(crate) id: Uuid,
    pub(crate) created: String,
    /// The author.
    pub(crate) by: String,
    pub(crate) events: Vec<E>,
}

/// One copy: the line and its checksum.
pub(super) fn copy<E: Serialize>(entry: &Entry<E>) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec(entry)?;
    let sum = Digest::new(Sha256::digest(&text).into()).to_string();
    text.push(b'\n');
    text.extend_from_slice(sum.as_bytes());
    text.push(b'\n');
    Ok(text)
}

/// The bytes in the store: both copies.
pub(super) fn encode<E: Serialize>(entry: &Entry<E>) -> Result<Bytes, serde_json::Error> {
    Ok(copy(entry)?.repeat(2).into())
}

/// Bytes of a checksum and the line feeds around it.
const CHECKSUM: usize = 1 + 64 + 1;

/// The line of a copy, if the checksum matches.
fn line(copy: &[u8]) -> Option<&[u8]> {
    let (line, rest) = copy.split_at_checked(copy.len().checked_sub(CHECKSUM)?)?;
    let sum = Digest::new(Sha256::digest(line).into());
    (rest == format!("\n{sum}\n").as_bytes()).then_some(line)
}

/// An entry, and its repair if a copy is damaged.
#[derive(Debug)]
pub(super) struct Decoded<E> {
    pub(super) entry: Entry<E>,
    /// The bytes to write if one copy is damaged.
    pub(super) repaired: Option<Bytes>,
}

/// Finds an undamaged copy. The flag says whether both are undamaged.
pub(super) fn intact_copy(bytes: &[u8]) -> Result<(bool, &[u8]), &'static str> {
    // Split by length and not by lines: a flipped bit can add or remove a line feed.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    match (line(first), line(second)) {
        (Some(_), Some(_)) if first == second => Ok((true, first)),
        (Some(_), None) => Ok((false, first)),
        (None, Some(_)) => Ok((false, second)),
        (Some(_), Some(_)) => Err("its two copies differ"),
        (None, None) => Err("both copies have wrong checksums"),
    }
}

/// Decodes entry `number`, or says why it is damaged.
pub(super) fn decode<E: DeserializeOwned>(bytes: &[u8], number: u64) -> Result<Decoded<E>, String> {
    let (is_intact, copy) = intact_copy(bytes)?;
    Ok(Decoded {
        entry: parse(&copy[..copy.len() - CHECKSUM], number)?,
        repaired: (!is_intact).then(|| copy.repeat(2).into()),
    })
}

fn parse<E: DeserializeOwned>(line: &[u8], number: u64) -> Result<Entry<E>, String> {
    let entry: Entry<E> = serde_json::from_slice(line).map_err(|error| {
        format!("it was written by another version of the repository, or by hand ({error})")
    })?;
    if entry.number == number {
        Ok(entry)
    } else {
        Err(format!("it contains entry {}", entry.number))
    }
}

/// Decodes a segment: one copy of each entry, from number `first` on.
pub(super) fn decode_segment<E: DeserializeOwned>(
    bytes: &[u8],
    first: u64,
) -> Result<Vec<Entry<E>>, String> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut entries = Vec::new();
    while let Some(text) = lines.next() {
        let sum = lines.next().unwrap_or_default();
        let intact = line(&[text, sum].concat()).map(<[u8]>::to_vec);
        let intact = intact.ok_or("an entry has a wrong checksum")?;
        entries.push(parse(&intact, first + entries.len() as u64)?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<String> {
        Entry {
            number: 7,
            id: Uuid::nil(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            by: "anonymous".to_owned(),
            events: vec!["one".to_owned(), "two".to_owned()],
        }
    }

    #[test]
    fn every_flipped_bit_is_found_and_repaired() {
        let bytes = encode(&entry()).unwrap();
        assert!(decode::<String>(&bytes, 7).unwrap().repaired.is_none());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 1 << bit;
                let decoded = decode::<String>(&damaged, 7).unwrap();
                assert_eq!(
                    decoded.repaired,
                    Some(bytes.clone()),
                    "bit {bit} of byte {at}"
                );
                assert_eq!(decoded.entry.events, entry().events);
            }
        }
    }

    #[test]
    fn damage_of_both_copies_is_an_error() {
        let bytes = encode(&entry()).unwrap();
        let mut both = bytes.to_vec();
        both[3] ^= 1;
        let half = both.len() / 2;
        both[half + 9] ^= 1;
        assert!(decode::<String>(&both, 7).is_err());
        assert!(decode::<String>(&bytes, 8).is_err());
        assert!(decode::<String>(&bytes[..bytes.len() - 2], 7).is_err());
        assert!(decode::<String>(b"", 7).is_err());
    }

    #[test]
    fn segments_hold_entries_in_order() {
        let mut entries = [entry(), entry()];
        entries[1].number = 8;
        let mut bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| copy(entry).unwrap())
            .collect();
        assert_eq!(decode_segment::<String>(&bytes, 7).unwrap().len(), 2);
        assert!(decode_segment::<String>(&bytes, 1).is_err());
        bytes[10] ^= 1;
        assert!(decode_segment::<String>(&bytes, 7).is_err());
    }
}
