//! Which tests a run includes, and how a test is left out.
//!
//! By default a run includes every test that needs no image. `PLATFORM_TESTS=all` adds the others: containers,
//! environments under load, Ceph, long series of power cuts, a browser. A test whose prerequisite is missing is left out
//! and listed; with `CI=true` it fails instead, and every test is included.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report;

/// Which tests a run includes.
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
                "PLATFORM_TESTS is {}: set it to all, or leave it unset",
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

/// Unwinds the thread of a test that is left out.
#[derive(Debug)]
pub struct Skipped {
    pub reason: String,
}

/// Leaves the current test out, because of a missing prerequisite.
///
/// # Panics
///
/// With `CI=true`: CI installs every prerequisite.
pub fn skip(reason: &str) -> ! {
    assert!(!is_ci(), "CI leaves no test out: {reason}");
    leave_out(reason)
}

/// Leaves the current test out, unless the run includes all tests.
pub fn only_with_all(needs: &str) {
    if !Selection::is_all() {
        leave_out(&format!("{needs} (run with PLATFORM_TESTS=all)"));
    }
}

fn leave_out(reason: &str) -> ! {
    // Without the panic hook: nothing went wrong.
    resume_unwind(Box::new(Skipped {
        reason: reason.to_owned(),
    }))
}

/// Reports that the current test covers less than it should, because something is missing.
///
/// # Panics
///
/// With `CI=true`.
pub fn without(missing: &str) {
    assert!(!is_ci(), "CI leaves nothing out: without {missing}");
    report::reduced(&format!("ran in part, without {missing}"));
}

/// Reports that the current test covers less than it should, because of a limit of the machine that no package lifts.
pub fn note(limit: &str) {
    report::reduced(limit);
}

/// Leaves the current test out where `program` cannot be started.
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

/// Where `program` lies on the search path.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|program| program.is_file())
}
