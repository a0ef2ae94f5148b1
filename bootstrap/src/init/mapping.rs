//! Mappings of exit codes and signals.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::signals;

/// Parses `FROM:TO,FROM:TO`, or `none`.
fn pairs<T: Ord>(
    text: &str,
    parse: impl Fn(&str, &str) -> Option<(T, T)>,
) -> Option<BTreeMap<T, T>> {
    if text == "none" {
        return Some(BTreeMap::new());
    }
    text.split(',')
        .map(|pair| pair.split_once(':').and_then(|(from, to)| parse(from, to)))
        .collect()
}

/// Changes of exit codes: `143:0,130:0`, or `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RemapExit(BTreeMap<u8, u8>);

impl RemapExit {
    pub(crate) fn apply(&self, code: i32) -> i32 {
        u8::try_from(code)
            .ok()
            .and_then(|code| self.0.get(&code))
            .map_or(code, |code| i32::from(*code))
    }
}

impl FromStr for RemapExit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        pairs(text, |from, to| {
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .map(Self)
        .ok_or("expected none, or pairs of exit codes such as 143:0")
    }
}

impl std::fmt::Display for RemapExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(from, to)| format!("{from}:{to}"))
            .collect();
        f.write_str(&pairs.join(","))
    }
}

/// Changes of received signals: `15:3`, or `2:0` to drop a signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rewrite(BTreeMap<libc::c_int, libc::c_int>);

impl Rewrite {
    /// The signal to forward; `None` to drop the signal.
    pub(crate) fn apply(&self, signal: libc::c_int) -> Option<libc::c_int> {
        let signal = self.0.get(&signal).copied().unwrap_or(signal);
        (signal != 0).then_some(signal)
    }
}

impl FromStr for Rewrite {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let signal = |from: &str, to: &str| {
            let to = if to == "0" { 0 } else { signals::parse(to)? };
            Some((signals::parse(from)?, to))
        };
        pairs(text, signal)
            .map(Self)
            .ok_or("expected none, or pairs of signals such as TERM:QUIT or 2:0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_mapped() {
        let remap: RemapExit = "143:0,1:7".parse().unwrap();
        assert_eq!([0, 1, 2, 143].map(|code| remap.apply(code)), [0, 7, 2, 0]);
        assert_eq!(remap.to_string().parse(), Ok(remap));
        assert_eq!("none".parse(), Ok(RemapExit::default()));
        for bad in ["", "1", "1:", "256:0", "1:0,"] {
            assert!(bad.parse::<RemapExit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_are_mapped() {
        let rewrite: Rewrite = "15:3,INT:0,RTMIN+1:TERM".parse().unwrap();
        assert_eq!(
            [15, 2, 35, 1].map(|signal| rewrite.apply(signal)),
            [Some(3), None, Some(15), Some(1)]
        );
        for bad in ["", "15", "15:", ":3", "0:3", "15:65", "15:3,"] {
            assert!(bad.parse::<Rewrite>().is_err(), "{bad}");
        }
    }
}
