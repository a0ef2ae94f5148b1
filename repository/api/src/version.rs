//! The total order of versions.
//!
//! 1. the numeric core, padded with zeros
//! 2. `SemVer`'s rule for pre-releases (<https://semver.org/#spec-item-11>)
//! 3. the bytes, so that no two versions are equal
//!
//! The core is the leading run of numbers and dots. A `-` right after the core begins a pre-release; a `+`
//! begins build metadata. The tie-break orders the rest (`1.0.2k`, `1.0.Final`).

use std::cmp::Ordering;

use crate::names::VersionName;

impl VersionName {
    /// Whether the version is a pre-release. `latest` skips pre-releases.
    pub fn is_prerelease(&self) -> bool {
        Parts::of(self.as_str()).prerelease.is_some()
    }
}

impl Ord for VersionName {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (Parts::of(self.as_str()), Parts::of(other.as_str()));
        compare_cores(left.core, right.core)
            .then_with(|| compare_prereleases(left.prerelease, right.prerelease))
            .then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl PartialOrd for VersionName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Parts<'a> {
    core: &'a str,
    prerelease: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut end = 0;
        while end < bytes.len() {
            let digit = bytes[end].is_ascii_digit();
            let dot = bytes[end] == b'.' && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !digit && !dot {
                break;
            }
            end += 1;
        }
        let (core, rest) = text.split_at(end);
        let prerelease = rest.strip_prefix('-').map(|rest| {
            rest.split_once('+')
                .map_or(rest, |(prerelease, _build)| prerelease)
        });
        Self { core, prerelease }
    }
}

/// Compares numbers of any length: without leading zeros, the longer number is greater.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn compare_cores(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => match compare_numbers(left.unwrap_or("0"), right.unwrap_or("0")) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

fn compare_prereleases(left: Option<&str>, right: Option<&str>) -> Ordering {
    let (left, right) = match (left, right) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(left), Some(right)) => (left, right),
    };
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => compare_identifiers(left, right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_identifiers(left: &str, right: &str) -> Ordering {
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (numeric(left), numeric(right)) {
        (true, true) => compare_numbers(left, right),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> VersionName {
        text.parse().unwrap()
    }

    #[test]
    fn ascending() {
        let order = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1",
            "1.0",
            "1.0.0",
            "1.0.0+build",
            "1.0.2",
            "1.0.2k",
            "1.9.0",
            "1.10.0",
            "2",
            "20261121",
            "99999999999999999999999999",
        ];
        for pair in order.windows(2) {
            assert!(
                version(pair[0]) < version(pair[1]),
                "{} < {}",
                pair[0],
                pair[1]
            );
        }
    }

    #[test]
    fn only_a_dash_begins_a_prerelease() {
        for text in ["1.0.0-rc.1", "1-a+b"] {
            assert!(version(text).is_prerelease(), "{text}");
        }
        for text in ["1.0.0", "1.0.0+a-b", "1.0.2k", "1.0.Final", "1.0_1-2"] {
            assert!(!version(text).is_prerelease(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[0-9][0-9a-b.+-]{0,6}", b in "[0-9][0-9a-b.+-]{0,6}", c in "[0-9][0-9a-b.+-]{0,6}") {
            let (a, b, c) = (version(&a), version(&b), version(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
