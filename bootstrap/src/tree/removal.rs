//! Deletes trees. A tree that cannot be deleted stays, with a warning, and the start goes on.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{OFlag, open as open_file};
use nix::sys::stat::Mode;

/// Deletes directories in a process of its own, beside the app. The next start sweeps what is left when
/// the app ends first.
pub(crate) fn remove_in_background(paths: &[PathBuf]) {
    if paths.is_empty() {
        return;
    }
    // The app could read the process's environment, so the process gets no token.
    let log = ["BOOTSTRAP_LOG", "BOOTSTRAP_LOG_FORMAT"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    // After the handover, the init reaps the process.
    let spawned = Command::new("/proc/self/exe")
        .arg0("bootstrap")
        .arg("_remove")
        .args(paths)
        .env_clear()
        .envs(log)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn();
    if spawned.is_err() {
        remove_all(paths);
    }
}

/// Deletes directories before it returns.
pub(crate) fn remove_all(paths: &[PathBuf]) {
    for path in paths {
        remove(path);
    }
}

/// Deletes a file or a directory.
pub(super) fn remove(path: &Path) {
    let outcome = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            make_removable(path);
            fs::remove_dir_all(path)
        }
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(
                "failed to remove {}, which is no longer needed: {error}",
                path.display()
            );
        }
        _ => {}
    }
}

/// Gives the owner every right to the directories of a tree: an app can have removed its own right to
/// write. Errors show in the removal.
fn make_removable(tree: &Path) {
    let mut open = vec![tree.to_owned()];
    while let Some(directory) = open.pop() {
        // Changes modes through a handle that followed no link.
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_PATH | OFlag::O_CLOEXEC;
        if let Ok(handle) = open_file(&directory, flags, Mode::empty()) {
            let by_handle = format!("/proc/self/fd/{}", handle.as_raw_fd());
            let _ = fs::set_permissions(by_handle, fs::Permissions::from_mode(0o700));
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
}
