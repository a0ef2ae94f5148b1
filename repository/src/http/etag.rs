//! Entity tags of layer generations, channel moves and response bodies.

use repository_api::Digest;
use sha2::{Digest as _, Sha256};

pub(crate) fn generation(number: u64) -> String {
    format!("\"g{number}\"")
}

/// The tag counts moves, so that it also changes when a channel returns to an earlier release.
pub(crate) fn channel_move(number: u64) -> String {
    format!("\"m{number}\"")
}

/// The tag of the JSON format. A strong tag must differ where the bytes differ.
pub(crate) fn channel_move_json(number: u64) -> String {
    format!("\"m{number}.json\"")
}

/// The strong tag of a body: its digest.
pub(crate) fn of_body(body: &[u8]) -> String {
    Digest::new(Sha256::digest(body).into()).etag()
}
