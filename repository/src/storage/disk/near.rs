//! Whether a part of a file is in the page cache. What is not would make the thread wait that sends it, and
//! everybody else whom that thread serves.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// Bytes between two looks: the kernel reads ahead as much, and drops pages in about the order in which it read
/// them.
const STEP: usize = 128 << 10;

/// Brings it there, if it is not.
pub(crate) async fn bring(file: &Arc<File>, range: Range<u64>) -> io::Result<()> {
    if is_near(file, &range) {
        return Ok(());
    }
    let file = Arc::clone(file);
    super::blocking(move || read(&file, range)).await
}

/// The same, on a thread that may wait.
pub(super) fn bring_now(file: &File, range: Range<u64>) -> io::Result<()> {
    if is_near(file, &range) {
        return Ok(());
    }
    read(file, range)
}

fn is_near(file: &File, range: &Range<u64>) -> bool {
    let steps = (range.start..range.end).step_by(STEP);
    steps.chain(range.end.checked_sub(1)).all(|at| {
        let mut byte = [0];
        let mut buffers = [IoSliceMut::new(&mut byte)];
        // Where a file system cannot tell, there is nothing to be done.
        preadv2(file, &mut buffers, at, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
    })
}

fn read(file: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; STEP];
    for start in range.clone().step_by(STEP) {
        let length = usize::try_from(range.end - start).map_or(STEP, |left| left.min(STEP));
        file.read_exact_at(&mut buffer[..length], start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rustix::fs::{Advice, fadvise};

    use super::*;

    #[test]
    fn what_was_dropped_is_brought_back() {
        let mut file = tempfile::tempfile_in(".").unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let range = 1000..1_000_000;
        bring_now(&file, range.clone()).unwrap();
        assert!(is_near(&file, &range));
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        bring_now(&file, range.clone()).unwrap();
        assert!(is_near(&file, &range));
    }
}
