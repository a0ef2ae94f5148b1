//! Writes standard error on a separate thread, so that a stalled reader of the log blocks no request. When the queue is
//! full, lines are dropped; the log reports their number later.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Maximum lines in the queue. The line of a request has a few hundred bytes.
const MAX_LINES: usize = 4096;

/// Starts the thread. Dropping the guard writes what is queued.
pub(super) fn start() -> (NonBlocking, WorkerGuard) {
    let counter = Arc::default();
    let output = Output {
        counter: Arc::clone(&counter),
        reported: 0,
    };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_LINES)
        .thread_name("log")
        .finish(output);
    let _ = counter.set(writer.error_counter());
    (writer, guard)
}

#[derive(Debug)]
struct Output {
    counter: Arc<OnceLock<ErrorCounter>>,
    /// Number of dropped lines that the log has reported.
    reported: usize,
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr();
        stderr.write_all(line)?;
        let dropped = self.counter.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.reported {
            let count = dropped - self.reported;
            writeln!(
                stderr,
                "WARN {count} lines of the log were dropped because standard error was not read"
            )?;
            self.reported = dropped;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
