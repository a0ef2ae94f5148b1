//! The file of a download.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::exit::Failure;

/// Opens or creates the file. The app can write to its directory, too: a link is replaced, and so is a file
/// with a second name.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    let open = || {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    let is_own = |file: &File| {
        file.metadata()
            .is_ok_and(|found| found.is_file() && found.nlink() == 1)
    };
    match open() {
        Ok(file) if is_own(&file) => return Ok(file),
        Err(error) if error.raw_os_error() != Some(libc::ELOOP) => {
            return Err(Failure::cannot_write(path, error));
        }
        _ => {}
    }
    std::fs::remove_file(path)
        .and_then(|()| open())
        .map_err(|error| Failure::cannot_write(path, error))
}
