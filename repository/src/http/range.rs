//! Range requests (RFC 9110 section 14): one range of bytes. Several ranges, or another unit, are
//! answered with the whole, as the RFC allows.

use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// 416: no byte of it exists.
    Unsatisfiable,
}

/// The range of `size` bytes that a `Range` header asks for.
pub(crate) fn wanted(header: &str, size: u64) -> Wanted {
    let Some((unit, set)) = header.split_once('=') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else {
        return Wanted::Whole;
    };
    match (
        first.is_empty(),
        number(first),
        last.is_empty(),
        number(last),
    ) {
        // `-n`: the last n bytes.
        (true, _, false, Some(count)) => match count.min(size) {
            0 => Wanted::Unsatisfiable,
            count => Wanted::Part(size - count..size),
        },
        // `a-`
        (false, Some(first), true, _) => from(first, size, size),
        // `a-b`
        (false, Some(first), false, Some(last)) if first <= last => {
            from(first, last.saturating_add(1), size)
        }
        _ => Wanted::Whole,
    }
}

fn from(first: u64, end: u64, size: u64) -> Wanted {
    if first < size {
        Wanted::Part(first..end.min(size))
    } else {
        Wanted::Unsatisfiable
    }
}

/// Digits only; a number beyond u64 is beyond any file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let cases = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=9-", Wanted::Part(9..10)),
            ("bytes=3-100", Wanted::Part(3..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-100", Wanted::Part(0..10)),
            ("BYTES=1-2", Wanted::Part(1..3)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes", Wanted::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 10), expected, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Unsatisfiable);
    }
}
