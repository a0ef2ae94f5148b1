//! Output of commands: results on standard output; problems and periodic progress on standard error.

use std::io::Write as _;
use std::time::{Duration, Instant};

use repository_api::units::show_size;

use crate::transfer::report::Report;

/// Time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(5);

/// Prints a result. Ignores a reader that is gone.
pub(super) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints the progress of a transfer.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    printed: Instant,
    files: u64,
    bytes: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            printed: now,
            files: 0,
            bytes: 0,
        }
    }
}

impl Report for Progress {
    fn done(&mut self, line: &str) {
        print_line(line);
    }

    fn skipped(&mut self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn file(&mut self, bytes: u64) {
        if self.printed.elapsed() >= INTERVAL {
            self.printed = Instant::now();
            let (files, size) = (self.files, show_size(self.bytes));
            let seconds = self.began.elapsed().as_secs();
            let _ = writeln!(
                std::io::stderr(),
                "{files} files, {size}, after {seconds} s"
            );
        }
        self.files += 1;
        self.bytes += bytes;
    }
}
