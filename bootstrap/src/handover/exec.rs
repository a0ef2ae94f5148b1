//! The exec of the app, or of the init.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{execve, execvpe};

use super::prepared::Prepared;
use crate::early;
use crate::exit::{Exit, Failure};
use crate::init::{self, Handed, Options};

pub(super) fn strings(texts: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Failure> {
    texts
        .map(|text| {
            CString::new(text.as_bytes()).map_err(|_| {
                Failure::new(
                    Exit::Config,
                    "the command or a variable contains a NUL byte",
                )
            })
        })
        .collect()
}

/// Replaces this process with the app; returns only on failure.
pub(super) fn become_app(command: &[OsString], environment: &[CString]) -> Result<i32, Failure> {
    let words = strings(command.iter().cloned())?;
    early::restore_sigpipe();
    early::set_mask(early::original_mask());
    let path = environment
        .iter()
        .find_map(|pair| pair.as_bytes().strip_prefix(b"PATH="));
    let error = exec_in_path(
        &words,
        environment,
        path.unwrap_or(b"/usr/local/bin:/bin:/usr/bin"),
    );
    Err(init::spawn_failure(&command[0], error.into()))
}

/// Like execvpe(3), but with the app's `PATH` instead of this process's.
fn exec_in_path(words: &[CString], environment: &[CString], path: &[u8]) -> Errno {
    let program = words[0].as_bytes();
    if program.contains(&b'/') {
        return execve(&words[0], words, environment)
            .err()
            .unwrap_or(Errno::ENOENT);
    }
    let mut last = Errno::ENOENT;
    for directory in path.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        let Ok(candidate) = CString::new([directory, b"/", program].concat()) else {
            continue;
        };
        let error = execve(&candidate, words, environment)
            .err()
            .unwrap_or(Errno::ENOENT);
        if error != Errno::ENOENT && error != Errno::ENOTDIR {
            last = error;
        }
    }
    last
}

/// Replaces this process with the init; returns only on failure.
pub(super) fn become_init(
    options: &Options,
    prepared: &Prepared,
    order: Option<&File>,
    environment: &[CString],
) -> Result<i32, Failure> {
    let mut words: Vec<OsString> = vec!["bootstrap".into(), "init".into()];
    let handed = Handed {
        mask: early::original_mask(),
        log_json: prepared.settings.log.json,
        tree_lock: prepared
            .tree
            .lock
            .as_ref()
            .and_then(|lock| keep_open(lock).ok()),
        watch: order.and_then(|order| keep_open(order).ok()),
    };
    words.extend(options.to_arguments(handed));
    let words = strings(words.into_iter())?;
    early::set_mask(u64::MAX);
    early::restore_sigpipe();
    // `/proc/self/exe` is this binary, even if its file was renamed or replaced. Without /proc, only the
    // name is known.
    let error = execve(c"/proc/self/exe", &words, environment)
        .err()
        .unwrap_or(Errno::ENOENT);
    let own = std::env::args_os()
        .next()
        .and_then(|name| CString::new(name.as_bytes()).ok());
    if let (Some(own), true) = (own, error == Errno::ENOENT) {
        let _ = execvpe(&own, &words, environment);
    }
    early::set_mask(early::original_mask());
    if error == Errno::E2BIG {
        return Err(Failure::new(
            Exit::Config,
            "the environment and the command are too long for the kernel: put large values into files",
        ));
    }
    Err(Failure::new(Exit::NotExecutable, "failed to execute the init").because(error))
}

/// Keeps a descriptor open across the exec. The init hides it from the app.
fn keep_open(lock: &File) -> nix::Result<i32> {
    fcntl(lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(lock.as_raw_fd())
}
