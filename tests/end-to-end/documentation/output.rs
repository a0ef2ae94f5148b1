//! The output of a command beside the output on the page.

/// Units of figures that differ from run to run.
const UNITS: [&str; 6] = ["ms", "s", "B", "KiB", "MiB", "GiB"];

/// Whether the lines are those of the page, apart from digests, sizes, durations and times. `…` on the page stands for any
/// text, on a line of its own for any lines.
pub(super) fn matches(expected: &[String], actual: &str) -> bool {
    let expected: Vec<String> = expected.iter().map(|line| normal(line)).collect();
    let actual: Vec<String> = actual.lines().map(normal).collect();
    wild(
        &expected,
        &actual,
        |line| line == "…",
        |expected, actual| {
            let expected: Vec<char> = expected.chars().collect();
            let actual: Vec<char> = actual.chars().collect();
            wild(&expected, &actual, |c| *c == '…', |a, b| a == b)
        },
    )
}

/// Compares two sequences; an item of the first that is wild stands for any number of items of the second.
fn wild<T>(
    expected: &[T],
    actual: &[T],
    is_wild: impl Fn(&T) -> bool + Copy,
    equal: impl Fn(&T, &T) -> bool + Copy,
) -> bool {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if is_wild(first) => {
            wild(rest, actual, is_wild, equal)
                || actual
                    .split_first()
                    .is_some_and(|(_, actual)| wild(expected, actual, is_wild, equal))
        }
        (Some((first, expected)), Some((line, actual))) => {
            equal(first, line) && wild(expected, actual, is_wild, equal)
        }
        _ => false,
    }
}

/// A line in which each word that differs from run to run is replaced by its kind.
fn normal(line: &str) -> String {
    let mut normal = String::new();
    let mut rest = line.trim_end();
    while !rest.is_empty() {
        let (word, tail) = rest.split_at(word_length(rest));
        let unit = tail.strip_prefix(' ').unwrap_or_default();
        let unit = &unit[..word_length(unit)];
        if word.parse::<f64>().is_ok() && UNITS.contains(&unit) {
            normal += "<amount>";
            rest = &tail[1 + unit.len()..];
        } else {
            normal += kind(word).unwrap_or(word);
            rest = tail;
        }
    }
    normal
}

/// Bytes up to the end of the word, or of the blanks and signs, that a text begins with.
fn word_length(text: &str) -> usize {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-.:+_".contains(c);
    let first = text.chars().next().is_some_and(is_word);
    text.find(|c| is_word(c) != first).unwrap_or(text.len())
}

fn kind(word: &str) -> Option<&'static str> {
    let digest = word.strip_prefix("sha256:").unwrap_or(word);
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("<digest>");
    }
    if word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' {
        return Some("<time>");
    }
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    (UNITS.contains(&&word[number.len()..]) && number.parse::<f64>().is_ok()).then_some("<amount>")
}

#[test]
fn figures_may_differ_and_words_may_not() {
    let same = |expected: &str, actual: &str| {
        let lines: Vec<String> = expected.lines().map(str::to_owned).collect();
        matches(&lines, actual)
    };
    assert!(same(
        "fetched 463.3 KiB in 7 ms",
        "fetched 1.0 KiB in 7 ms\n"
    ));
    assert!(same("in 12ms", "in 1.5s"));
    assert!(!same("hello 1.0.0", "hello 1.0.1"));
    assert!(same("in …/store", "in /tmp/a/store"));
    assert!(same("a\n…\nd", "a\nb\nc\nd"));
    assert!(!same("", "curl: not found"));
    assert!(!same("a", "a\nb"));
    let (one, other) = ("a".repeat(64), "b".repeat(64));
    assert!(same(
        &format!("sha256:{one} x"),
        &format!("sha256:{other} x")
    ));
    assert!(same("at 2026-11-28T19:54:54Z", "at 2027-01-01T00:00:00Z"));
}
