//! Whether a user could have written to a tree. What is unpacked for trusted keys is used again only
//! where the app could not: an untouched time of modification proves nothing, it can be set.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Uid;

/// Whether `user` may not have written to `path`, nor to anything below it.
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
        if !itself(&found, user) {
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

/// The same of one file or directory alone.
pub(super) fn at(path: &Path, user: Uid) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink() && itself(&found, user))
}

fn itself(found: &fs::Metadata, user: Uid) -> bool {
    !user.is_root() && found.uid() != user.as_raw() && found.mode() & 0o022 == 0
}
