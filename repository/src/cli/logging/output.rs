//! Standard error, for a server that must not wait for whoever reads it: where a pipe is full, it waits for a
//! moment, and then drops lines until there is room again, and says how many.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use tracing_subscriber::fmt::MakeWriter;

/// How long a reader may stand still before lines are dropped.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a line at the most: a pipe that has room at all has room for so many (`PIPE_BUF`, pipe(7)).
const MAX_LINE: usize = 4096;

#[derive(Debug)]
struct State {
    is_stuck: bool,
    dropped: u64,
}

static STATE: Mutex<State> = Mutex::new(State {
    is_stuck: false,
    dropped: 0,
});

#[derive(Debug, Clone, Copy)]
pub(super) struct Output;

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = if state.is_stuck {
            Duration::ZERO
        } else {
            PATIENCE
        };
        if !has_room(patience) {
            state.is_stuck = true;
            state.dropped += 1;
            return Ok(line.len());
        }
        state.is_stuck = false;
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            let notice = format!("WARN {dropped} lines of the log were dropped: nobody read it\n");
            io::stderr().write_all(notice.as_bytes())?;
        }
        match line.get(..MAX_LINE - 1) {
            None => io::stderr().write_all(line)?,
            Some(beginning) => io::stderr().write_all(&[beginning, b"\n"].concat())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file takes what it is given, or says that it cannot; it makes nobody wait.
static IS_FILE: LazyLock<bool> = LazyLock::new(|| {
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
});

/// Where that cannot be told, there is.
fn has_room(patience: Duration) -> bool {
    if *IS_FILE {
        return true;
    }
    let stderr = io::stderr();
    let mut descriptors = [PollFd::new(&stderr, PollFlags::OUT)];
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(0),
        tv_nsec: 0,
    };
    !matches!(poll(&mut descriptors, Some(&timeout)), Ok(0))
}
