//! A test that lacks something says so on one visible line; with `CI=true` that is a failure.

use std::io::Write as _;

/// Says that `test` was skipped, because of `reason`.
///
/// # Panics
///
/// With `CI=true`: there, nothing may be missing.
pub fn skip(test: &str, reason: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{test} may not be skipped in CI: {reason}"
    );
    // Past the capture of the test harness: a skip that nobody sees is a lie.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// Says that `test` did less than it would elsewhere.
pub fn note(test: &str, what: &str) {
    let _ = writeln!(std::io::stderr(), "LESS {test}: {what}");
}
