//! Selects the tests of a run, and skips tests whose prerequisite is missing.
//!
//! By default, a run includes every test that needs no image. `PLATFORM_TESTS=all` adds containers, environments under
//! load, Ceph, long series of power cuts, and browsers. A run lists each test that it skips. `CI=true` includes every
//! test, and a missing prerequisite fails its test.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report;

/// The tests that a run includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Tests that need no image.
    Default,
    All,
}

impl Selection {
    /// Reads `PLATFORM_TESTS` and `CI`.
    pub fn from_environment() -> Result<Self, String> {
        let value = std::env::var_os("PLATFORM_TESTS").unwrap_or_default();
        match value.to_str() {
            Some("all") => Ok(Self::All),
            Some("") if is_ci() => Ok(Self::All),
            Some("") => Ok(Self::Default),
            _ => Err(format!(
                "PLATFORM_TESTS={} is invalid. Set PLATFORM_TESTS to all, or unset it",
                value.display()
            )),
        }
    }

    pub fn is_all() -> bool {
        Self::from_environment() == Ok(Self::All)
    }
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// The panic payload that unwinds a skipped test.
#[derive(Debug)]
pub struct Skipped {
    pub reason: String,
}

/// Skips the current test because a prerequisite is missing.
///
/// # Panics
///
/// With `CI=true`, because CI installs every prerequisite.
pub fn skip(reason: &str) -> ! {
    assert!(
        !is_ci(),
        "with CI=true, a skipped test is a failure: {reason}"
    );
    skip_quietly(reason)
}

/// Skips the current test unless the run includes all tests.
pub fn only_with_all(needs: &str) {
    if !Selection::is_all() {
        skip_quietly(&format!("{needs} (run with PLATFORM_TESTS=all)"));
    }
}

fn skip_quietly(reason: &str) -> ! {
    // Unlike panic!, this does not call the panic hook, which would print a failure.
    resume_unwind(Box::new(Skipped {
        reason: reason.to_owned(),
    }))
}

/// Reports that the current test runs in part because a prerequisite is missing.
///
/// # Panics
///
/// With `CI=true`.
pub fn without(missing: &str) {
    assert!(
        !is_ci(),
        "with CI=true, a partial test is a failure: {missing} is missing"
    );
    report::reduced(&format!("ran in part, without {missing}"));
}

/// Reports that the current test runs in part because of a limit of the machine, even with `CI=true`.
pub fn note(limit: &str) {
    report::reduced(limit);
}

/// Skips the current test if `program` is not installed.
pub fn require_program(program: &str, package: &str) {
    if !starts(program) {
        skip(&format!("{program} is not installed (install {package})"));
    }
}

/// Whether `program` is installed.
pub fn starts(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Finds `program` on `PATH`.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|program| program.is_file())
}
