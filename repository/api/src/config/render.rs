//! Assignments written back in the grammar that [`super::parse`] reads.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One `NAME=value` a line, quoted where needed.
pub fn render<'a>(assignments: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in assignments {
        let _ = writeln!(text, "{name}={}", quote(value));
    }
    text
}

/// A value as one word: bare where that is safe, single-quoted otherwise.
pub fn quote(value: &str) -> Cow<'_, str> {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@%+,=".contains(&byte);
    if value.bytes().all(bare) {
        return Cow::Borrowed(value);
    }
    // A parsed value has no carriage return: CRLF inside quotes reads as LF.
    Cow::Owned(format!("'{}'", value.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grammar::parse;
    use super::*;

    proptest! {
        #[test]
        fn what_is_rendered_parses_to_the_same(value in "[^\0\r]{0,40}") {
            let config = parse(render([("A", value.as_str())]).as_bytes()).unwrap();
            prop_assert_eq!(&config.assignments[0].value, &value);
        }
    }
}
