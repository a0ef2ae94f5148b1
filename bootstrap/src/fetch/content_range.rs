//! `Content-Range` (RFC 9110 section 14.4): only the exact rest of the file is accepted.

use reqwest::header::{CONTENT_RANGE, HeaderMap};

/// Whether an answer starts at byte `have` and reaches the end of a file of `size` bytes.
pub(crate) fn continues(headers: &HeaderMap, have: u64, size: Option<u64>) -> bool {
    let mut values = headers.get_all(CONTENT_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Some((first, last, total)) = value.to_str().ok().and_then(parse) else {
        return false;
    };
    first == have && last.checked_add(1) == Some(total) && size.is_none_or(|size| size == total)
}

fn parse(text: &str) -> Option<(u64, u64, u64)> {
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((number(first)?, number(last)?, number(total)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_rest() {
        let fits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, value.parse().unwrap());
            continues(&headers, 5, Some(10))
        };
        assert!(fits("bytes 5-9/10"));
        for bad in [
            "bytes 4-9/10",
            "bytes 5-8/10",
            "bytes 5-10/11",
            "bytes 5-9/*",
            "bytes */10",
            "bytes 5-9",
            "5-9/10",
            "bytes +5-9/10",
            "",
        ] {
            assert!(!fits(bad), "{bad}");
        }
        assert!(!continues(&HeaderMap::new(), 5, Some(10)));
    }
}
