//! The report at the end of a run: the slowest tests, the skipped tests, and the tests that ran in part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) durations: Vec<(Duration, &'static str)>,
    /// The skipped tests, by reason.
    pub(crate) skipped: BTreeMap<String, Vec<String>>,
    /// The tests that ran in part, by reason.
    reduced: BTreeMap<String, BTreeSet<String>>,
}

static REPORT: Mutex<Report> = Mutex::new(Report {
    durations: Vec::new(),
    skipped: BTreeMap::new(),
    reduced: BTreeMap::new(),
});

pub(crate) fn report() -> MutexGuard<'static, Report> {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that the current test runs in part.
pub(crate) fn reduced(reason: &str) {
    let thread = thread::current();
    let name = thread.name().unwrap_or_default().to_owned();
    let mut report = report();
    report
        .reduced
        .entry(reason.to_owned())
        .or_default()
        .insert(name);
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a test run reports on standard output")]
    pub(crate) fn print_slowest(&mut self) {
        const SLOWEST: usize = 20;
        self.durations.sort_unstable_by(|one, other| other.cmp(one));
        println!("slowest tests:");
        for (duration, name) in self.durations.iter().take(SLOWEST) {
            println!("{:8.1} s  {name}", duration.as_secs_f64());
        }
        println!();
    }

    #[expect(clippy::print_stdout, reason = "a test run reports on standard output")]
    pub(crate) fn print_skipped(&self) {
        for (reason, names) in &self.reduced {
            println!("{reason}:");
            for name in names {
                println!("    {name}");
            }
        }
        let count: usize = self.skipped.values().map(Vec::len).sum();
        if count > 0 {
            println!("skipped: {count} tests");
        }
        for (reason, names) in &self.skipped {
            println!("  {reason}:");
            for name in names {
                println!("    {name}");
            }
        }
        if count > 0 || !self.reduced.is_empty() {
            println!("To run every test: PLATFORM_TESTS=all cargo test");
        }
    }
}
