//! Removing what is no longer needed. An app may have left what cannot be removed, such as a
//! directory without the right to write: then it stays, with a warning, and the start goes on.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::fcntl::{OFlag, open as open_file};
use nix::sys::stat::Mode;

pub(super) fn remove(path: &Path) {
    let outcome = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(
                "{} is of no use any more and cannot be removed: {error}",
                path.display()
            );
        }
        _ => {}
    }
}

/// Gives the owner every right to the directories of a tree. What fails shows when they are removed.
fn open_up(tree: &Path) {
    let mut open = vec![tree.to_owned()];
    while let Some(directory) = open.pop() {
        // Through a handle that followed no link.
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_PATH | OFlag::O_CLOEXEC;
        if let Ok(handle) = open_file(&directory, flags, Mode::empty()) {
            let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
            let _ = fs::set_permissions(itself, fs::Permissions::from_mode(0o700));
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
}
