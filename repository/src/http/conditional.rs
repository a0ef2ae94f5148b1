//! Conditional requests, evaluated in the order of RFC 9110 section 13.

use http::header::{self, HeaderMap, HeaderName};

use crate::domain::precondition::Precondition;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Proceed,
    /// 304 for a read, 412 for a write.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates `If-Match` and `If-None-Match` against the current entity tag; `None` if nothing exists yet.
pub(crate) fn evaluate(headers: &HeaderMap, current: Option<&str>) -> Outcome {
    if let Some(tags) = tags(headers, &header::IF_MATCH)
        && !tags
            .iter()
            .any(|tag| matches(tag, current, Comparison::Strong))
    {
        return Outcome::Failed;
    }
    if let Some(tags) = tags(headers, &header::IF_NONE_MATCH)
        && tags
            .iter()
            .any(|tag| matches(tag, current, Comparison::Weak))
    {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// The precondition of a write. `tags` maps the current number of the resource to its entity tags, the tag of the default
/// format first.
pub(crate) fn precondition<const N: usize>(
    headers: &HeaderMap,
    tags: impl Fn(u64) -> [String; N] + Send + Sync + 'static,
) -> Precondition {
    let mut conditions = HeaderMap::new();
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        for value in headers.get_all(&name) {
            conditions.append(name.clone(), value.clone());
        }
    }
    Precondition::new(move |current| {
        let proceeds = |tag: Option<&str>| evaluate(&conditions, tag) == Outcome::Proceed;
        let Some(current) = current else {
            return proceeds(None);
        };
        // `If-Match` may name the tag of any format.
        let formats = if conditions.contains_key(header::IF_MATCH) {
            N
        } else {
            1
        };
        tags(current)
            .iter()
            .take(formats)
            .any(|tag| proceeds(Some(tag)))
    })
}

/// Whether the range applies: `If-Range` is absent or names the current strong tag.
pub(crate) fn range_applies(headers: &HeaderMap, current: &str) -> bool {
    headers
        .get(header::IF_RANGE)
        .is_none_or(|value| value.as_bytes() == current.as_bytes())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let joined = values
        .map(|value| value.to_str().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(",");
    Some(joined.split(',').map(|tag| tag.trim().to_owned()).collect())
}

fn matches(tag: &str, current: Option<&str>, comparison: Comparison) -> bool {
    let Some(current) = current else { return false };
    if tag == "*" {
        return true;
    }
    match tag.strip_prefix("W/") {
        Some(weak) => comparison == Comparison::Weak && weak == current,
        None => tag == current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &'static str, value: &str, current: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        evaluate(&headers, current)
    }

    #[test]
    fn precedence_and_comparison() {
        let current = Some("\"g7\"");
        assert_eq!(outcome("if-match", "\"g7\"", current), Outcome::Proceed);
        assert_eq!(
            outcome("if-match", "\"g6\", \"g7\"", current),
            Outcome::Proceed
        );
        assert_eq!(outcome("if-match", "\"g6\"", current), Outcome::Failed);
        assert_eq!(outcome("if-match", "W/\"g7\"", current), Outcome::Failed);
        assert_eq!(outcome("if-match", "*", current), Outcome::Proceed);
        assert_eq!(outcome("if-match", "*", None), Outcome::Failed);
        assert_eq!(outcome("if-none-match", "*", None), Outcome::Proceed);
        assert_eq!(outcome("if-none-match", "*", current), Outcome::NotModified);
        assert_eq!(
            outcome("if-none-match", "W/\"g7\"", current),
            Outcome::NotModified
        );
        assert_eq!(
            outcome("if-none-match", "\"g6\"", current),
            Outcome::Proceed
        );
    }

    #[test]
    fn a_precondition_accepts_the_tag_of_any_format() {
        let allows = |name: &'static str, value: &str, current: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            precondition(&headers, |number| {
                [format!("\"m{number}\""), format!("\"m{number}.json\"")]
            })
            .allows(current)
        };
        assert!(allows("if-match", "\"m7\"", Some(7)));
        assert!(allows("if-match", "\"m7.json\"", Some(7)));
        assert!(!allows("if-match", "\"m6\"", Some(7)));
        assert!(!allows("if-match", "\"m7\"", None));
        assert!(allows("if-none-match", "*", None));
        assert!(!allows("if-none-match", "*", Some(7)));
        assert!(allows("x-other", "*", Some(7)));
    }
}
