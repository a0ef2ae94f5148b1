//! Errors over HTTP: `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document. `type` is left out: it is `about:blank`, and the status tells the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub status: u16,
    /// One clear sentence, with the next step.
    #[serde(default)]
    pub detail: String,
    /// Of a config that was refused: the line, masked, and a caret under the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}
