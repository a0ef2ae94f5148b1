//! Query parameters.

use std::str::FromStr;

use super::failure::Failure;

/// Parses a query parameter; 400 if it is malformed or repeated.
pub(crate) fn parameter<T>(query: Option<&str>, name: &str) -> Result<Option<T>, Failure>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != name {
            continue;
        }
        let value = percent_encoding::percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| {
                Failure::bad_request(format!(
                    "the query parameter {name} is not UTF-8: percent-encode it as UTF-8"
                ))
            })?;
        let value = value
            .parse()
            .map_err(|error| Failure::bad_request(format!("{name}: {error}")))?;
        if found.replace(value).is_some() {
            return Err(Failure::bad_request(format!(
                "the query parameter {name} is repeated: send it once"
            )));
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) u64);

impl FromStr for Number {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The number is written to JSON, where many parsers support no larger integers.
        text.parse::<i64>()
            .ok()
            .and_then(|number| u64::try_from(number).ok())
            .map(Self)
            .ok_or("expected a number, such as 3")
    }
}

/// Whether the query has `name`, with or without a value.
pub(crate) fn has_parameter(query: Option<&str>, name: &str) -> bool {
    query
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.split('=').next() == Some(name))
}
