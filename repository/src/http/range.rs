//! Range requests (RFC 9110 section 14) for one range of bytes. The server ignores several ranges and other units, as the
//! RFC allows, and sends the whole file.

use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    Whole,
    Part(Range<u64>),
    /// 416: the range lies outside the file.
    Unsatisfiable,
}

/// Parses a `Range` header for a file of `size` bytes.
pub(crate) fn parse(header: &str, size: u64) -> ByteRange {
    let Some((unit, set)) = header.split_once('=') else {
        return ByteRange::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return ByteRange::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else {
        return ByteRange::Whole;
    };
    match (
        first.is_empty(),
        number(first),
        last.is_empty(),
        number(last),
    ) {
        // `-n`: the last n bytes.
        (true, _, false, Some(count)) => match count.min(size) {
            0 => ByteRange::Unsatisfiable,
            count => ByteRange::Part(size - count..size),
        },
        // `a-`
        (false, Some(first), true, _) => from(first, size, size),
        // `a-b`
        (false, Some(first), false, Some(last)) if first <= last => {
            from(first, last.saturating_add(1), size)
        }
        _ => ByteRange::Whole,
    }
}

fn from(first: u64, end: u64, size: u64) -> ByteRange {
    if first < size {
        ByteRange::Part(first..end.min(size))
    } else {
        ByteRange::Unsatisfiable
    }
}

/// Parses digits. A number beyond u64 becomes the maximum, which lies outside any file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_range() {
        let cases = [
            ("bytes=0-0", ByteRange::Part(0..1)),
            ("bytes=0-", ByteRange::Part(0..10)),
            ("bytes=9-", ByteRange::Part(9..10)),
            ("bytes=3-100", ByteRange::Part(3..10)),
            ("bytes=-3", ByteRange::Part(7..10)),
            ("bytes=-100", ByteRange::Part(0..10)),
            ("BYTES=1-2", ByteRange::Part(1..3)),
            ("bytes=10-", ByteRange::Unsatisfiable),
            ("bytes=99999999999999999999-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
            ("bytes=5-2", ByteRange::Whole),
            ("bytes=0-1,3-4", ByteRange::Whole),
            ("bytes=-", ByteRange::Whole),
            ("bytes=a-b", ByteRange::Whole),
            ("bytes=+1-2", ByteRange::Whole),
            ("lines=1-2", ByteRange::Whole),
            ("bytes", ByteRange::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(header, 10), expected, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), ByteRange::Unsatisfiable);
    }
}
