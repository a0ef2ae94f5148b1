//! What a command says: results on standard output; how far it is on standard error, and not too often.

use std::io::Write as _;
use std::time::{Duration, Instant};

use repository_api::units::show_size;

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// A result, on standard output. A reader that went away is no failure of ours to report.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What went wrong with one of many, on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    told: Instant,
    files: u64,
    bytes: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            told: now,
            files: 0,
            bytes: 0,
        }
    }

    /// Another file is begun.
    pub(crate) fn count(&mut self, bytes: u64) {
        if self.told.elapsed() >= INTERVAL {
            self.told = Instant::now();
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
