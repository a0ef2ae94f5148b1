//! The system calls of the init. They use libc, because nix's types cannot hold real-time signals.
#![expect(
    unsafe_code,
    reason = "system calls that no safe wrapper offers for every signal"
)]

use std::ffi::CString;
use std::time::Duration;

pub(super) enum Reaped {
    /// A process, and its exit code; 128+n if it died of signal n.
    Process(libc::pid_t, i32),
    /// No child has ended.
    None,
    NoChildren,
}

/// Reaps a zombie.
pub(super) fn reap() -> Reaped {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for the result.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return Reaped::None,
            -1 if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            -1 => return Reaped::NoChildren,
            pid if libc::WIFSIGNALED(status) => {
                return Reaped::Process(pid, 128 + libc::WTERMSIG(status));
            }
            pid => return Reaped::Process(pid, libc::WEXITSTATUS(status)),
        }
    }
}

/// Waits for a signal; returns `None` after the timeout. All signals must be blocked.
///
/// Calls `rt_sigtimedwait(2)` directly: the C library leaves signals out, see [`crate::early`].
pub(super) fn wait_for_signal(timeout: Option<Duration>) -> Option<libc::c_int> {
    let all = u64::MAX;
    let timeout = timeout.map(|timeout| {
        // A period has at most 30 days.
        [
            i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            i64::from(timeout.subsec_nanos()),
        ]
    });
    let timeout = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set has 64 bits, as the size says. The timeout is null or two 64-bit numbers, like the
    // kernel's timespec on every 64-bit machine.
    let signal = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const all,
            std::ptr::null::<libc::siginfo_t>(),
            timeout,
            size_of::<u64>(),
        )
    };
    libc::c_int::try_from(signal)
        .ok()
        .filter(|signal| *signal > 0)
}

/// Sends a signal. Ignores errors: the process is gone.
pub(crate) fn kill(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a plain system call.
    unsafe {
        libc::kill(pid, signal);
    }
}

/// Makes orphaned descendants children of this process, as they are for PID 1.
pub(super) fn become_subreaper() {
    // SAFETY: a plain system call. Kernels before 3.4 do not know it, and give orphans to PID 1.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
}

/// Hides a descriptor from the command.
pub(super) fn close_on_exec(descriptor: i32) {
    // SAFETY: a plain system call. For a closed descriptor, it changes nothing.
    unsafe {
        libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
    }
}

/// Sets the name in `/proc/PID/comm`, by which `healthcheck` sees that the app drains.
pub(super) fn set_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        // SAFETY: `name` is a NUL-terminated string; the kernel copies it.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0);
        }
    }
}

/// Gives the child its own process group between fork and exec, in the foreground if the init was in the
/// foreground, so that Ctrl-C reaches the app and not the init. Async-signal-safe.
pub(super) fn take_foreground() {
    // SAFETY: plain, async-signal-safe system calls. SIGTTOU is blocked; it would stop a background
    // process that takes the terminal.
    unsafe {
        let foreground = libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp();
        libc::setpgid(0, 0);
        if foreground {
            libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
        }
    }
}

/// Returns the terminal, so that a script can read from it after the init has ended.
pub(super) fn give_back_foreground(child: libc::pid_t) {
    // SAFETY: plain system calls. SIGTTOU is blocked.
    unsafe {
        if libc::tcgetpgrp(libc::STDIN_FILENO) == child {
            libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpgrp());
        }
    }
}

/// Stops this process together with the app, so that its parent sees the stop. The kernel does not stop
/// PID 1.
pub(super) fn suspend() {
    // SAFETY: plain system calls.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGSTOP);
    }
}

/// Sets the signal that this process gets when its parent dies.
pub(super) fn set_parent_death_signal(signal: libc::c_int) {
    // SAFETY: a plain system call.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0);
    }
}
