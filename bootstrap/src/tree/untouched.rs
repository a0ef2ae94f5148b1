//! Whether a user could have written to a tree. With trusted keys, a tree is reused only if the app could
//! not write to it: an app can restore times of modification.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Uid;

/// Whether `user` could write neither to `path` nor to anything below it.
pub(super) fn below(path: &Path, user: Uid) -> io::Result<bool> {
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let found = fs::symlink_metadata(&path)?;
        if found.is_symlink() {
            if found.uid() == user.as_raw() {
                return Ok(false);
            }
            continue;
        }
        if !is_protected(&found, user) {
            return Ok(false);
        }
        if found.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(true)
}

/// Whether `user` could not write to a single file or directory.
pub(super) fn at(path: &Path, user: Uid) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink() && is_protected(&found, user))
}

fn is_protected(found: &fs::Metadata, user: Uid) -> bool {
    !user.is_root() && found.uid() != user.as_raw() && found.mode() & 0o022 == 0
}
