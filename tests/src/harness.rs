//! Runs the end-to-end tests.
//!
//! 1. Restores the process defaults that a shell, `nohup` or CI may have changed ([`crate::world`]).
//! 2. Runs each registered test on a thread with the name of the test.
//! 3. Prints the slowest tests (with `PLATFORM_TESTS=all` or `CI=true`) and the skipped tests ([`crate::report`]).

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::report::report;
use crate::skip::{Selection, Skipped};
use crate::world;

pub use inventory::submit;

/// A test function that `#[test]` registered.
#[derive(Debug)]
pub struct Test {
    /// The path of the function, with the crate.
    pub path: &'static str,
    pub run: fn(),
}

inventory::collect!(Test);

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    run: Arguments,
    /// More filters: a test runs if its name contains one of them.
    more: Vec<String>,
}

/// Runs the tests that the command line selects.
pub fn main() -> ExitCode {
    world::restore();
    let CommandLine { mut run, more } = CommandLine::parse();
    let selection = match Selection::from_environment() {
        Ok(selection) => selection,
        #[expect(clippy::print_stderr, reason = "no test is running yet")]
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let filters = match run.filter.take() {
        Some(first) => [vec![first], more].concat(),
        None => Vec::new(),
    };
    let is_selected = |test: &&Test| {
        let matches = |filter: &String| {
            let name = test.name();
            name == filter || !run.exact && name.contains(filter)
        };
        filters.is_empty() || filters.iter().any(matches)
    };
    let mut tests: Vec<_> = inventory::iter::<Test>
        .into_iter()
        .filter(is_selected)
        .collect();
    tests.sort_by_key(|test| test.path);
    let trials = tests.into_iter().map(|test| {
        let name = test.name();
        Trial::ignorable_test(name, move || run_test(name, test.run))
    });
    let conclusion = libtest_mimic::run(&run, trials.collect());
    let mut report = report();
    if selection == Selection::All && !run.list {
        report.print_slowest();
    }
    report.print_skipped();
    conclusion.exit_code()
}

impl Test {
    /// The path without the crate, which `cargo test` filters by.
    fn name(&self) -> &'static str {
        self.path
            .split_once("::")
            .map_or(self.path, |(_, name)| name)
    }
}

/// Runs one test to its end.
fn run_test(name: &'static str, test: fn()) -> Result<Completion, Failed> {
    let start = Instant::now();
    let outcome = thread::Builder::new()
        .name(name.to_owned())
        .spawn(test)
        .expect("a thread starts")
        .join();
    let elapsed = start.elapsed();
    let mut report = report();
    report.durations.push((elapsed, name));
    let Err(panic) = outcome else {
        return Ok(Completion::Completed);
    };
    match panic.downcast::<Skipped>() {
        Ok(skipped) => {
            let names = report.skipped.entry(skipped.reason.clone()).or_default();
            names.push(name.to_owned());
            Ok(Completion::ignored_with(skipped.reason))
        }
        // The panic hook printed the message.
        Err(_) => Err(Failed::without_message()),
    }
}
