//! JSON by default, HTML or plain text where `Accept` prefers it.

use http::header::{self, HeaderMap};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Html,
    Text,
}

/// The first form that `Accept` names, or `default`. Ignores quality values: browsers name HTML first, and scripts name
/// one form.
pub(crate) fn form(headers: &HeaderMap, default: Form) -> Form {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .find_map(|range| match range {
            "text/html" => Some(Form::Html),
            "application/json" => Some(Form::Json),
            "text/plain" => Some(Form::Text),
            _ => None,
        })
        .unwrap_or(default)
}
