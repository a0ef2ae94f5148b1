//! Content negotiation between JSON, HTML and plain text.

use http::header::{self, HeaderMap};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Html,
    Text,
}

/// The first format that `Accept` names, or `default`. Ignores quality values: browsers name HTML first, and scripts
/// name one format.
pub(crate) fn preferred_format(headers: &HeaderMap, default: Format) -> Format {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .find_map(|range| match range {
            "text/html" => Some(Format::Html),
            "application/json" => Some(Format::Json),
            "text/plain" => Some(Format::Text),
            _ => None,
        })
        .unwrap_or(default)
}
