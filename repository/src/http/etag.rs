//! Entity tags of what changes: a layer's generation, a channel's move, a body by its digest.

use repository_api::Digest;
use sha2::{Digest as _, Sha256};

pub(crate) fn generation(number: u64) -> String {
    format!("\"g{number}\"")
}

/// Numbers moves, not releases: a channel that returns to a release has moved.
pub(crate) fn channel_move(number: u64) -> String {
    format!("\"m{number}\"")
}

/// The tag of the JSON form, whose bytes need a strong tag of their own.
pub(crate) fn channel_move_json(number: u64) -> String {
    format!("\"m{number}.json\"")
}

/// The strong tag of a body.
pub(crate) fn of_body(body: &[u8]) -> String {
    Digest::new(Sha256::digest(body).into()).etag()
}
