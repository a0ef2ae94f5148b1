//! The system calls of the init. Plain libc, because signals without a name (the real-time ones)
//! must pass, and nix's types cannot hold them.
#![expect(
    unsafe_code,
    reason = "system calls that no safe wrapper offers for every signal"
)]

use std::ffi::CString;
use std::time::Duration;

pub(super) enum Ended {
    /// A process, and its exit code; 128+n for one that died of signal n.
    Process(libc::pid_t, i32),
    NobodyYet,
    NobodyLeft,
}

/// Takes one zombie, if there is one.
pub(super) fn reap() -> Ended {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the result.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return Ended::NobodyYet,
            -1 if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            -1 => return Ended::NobodyLeft,
            pid if libc::WIFSIGNALED(status) => {
                return Ended::Process(pid, 128 + libc::WTERMSIG(status));
            }
            pid => return Ended::Process(pid, libc::WEXITSTATUS(status)),
        }
    }
}

/// The next signal; `None` when the time is up. All signals must be blocked.
///
/// `rt_sigtimedwait(2)` itself, for the reason that `early` gives for the mask.
pub(super) fn wait_for_signal(patience: Option<Duration>) -> Option<libc::c_int> {
    let all = u64::MAX;
    let timeout = patience.map(|patience| {
        // Periods are 30 days at the most.
        [
            i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            i64::from(patience.subsec_nanos()),
        ]
    });
    let timeout = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set is 64 bits, as the size says; the time-out is two 64-bit numbers or null, as
    // the kernel's timespec is on every 64-bit machine.
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

/// Sends a signal; one that cannot be delivered had nobody to go to.
pub(crate) fn kill(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a plain system call.
    unsafe {
        libc::kill(pid, signal);
    }
}

/// Orphans of all descendants become our children, as they do for PID 1.
pub(super) fn become_subreaper() {
    // SAFETY: a plain system call. A kernel that does not know it (before 3.4) leaves orphans to PID 1.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
}

/// Keeps a descriptor of ours from the command.
pub(super) fn close_on_exec(descriptor: i32) {
    // SAFETY: a plain system call; a descriptor that is not open is an error that changes nothing.
    unsafe {
        libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
    }
}

/// The name that `/proc/PID/comm` shows: `healthcheck` reads from it whether the app is draining.
pub(super) fn set_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        // SAFETY: `name` is a NUL-terminated string; the kernel copies it.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0);
        }
    }
}

/// In the child, between fork and exec: a process group of its own, in the foreground if the init was
/// there, so that Ctrl-C reaches the app and not the init. Async-signal-safe.
pub(super) fn take_foreground() {
    // SAFETY: plain, async-signal-safe system calls. Every signal is blocked, SIGTTOU among them,
    // which would otherwise stop a background process that takes the terminal.
    unsafe {
        let foreground = libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp();
        libc::setpgid(0, 0);
        if foreground {
            libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
        }
    }
}

/// At the end: a script that goes on after the init may read from its terminal again.
pub(super) fn give_back_foreground(child: libc::pid_t) {
    // SAFETY: plain system calls; every signal is blocked, SIGTTOU among them.
    unsafe {
        if libc::tcgetpgrp(libc::STDIN_FILENO) == child {
            libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpgrp());
        }
    }
}

/// Stops this process, as the app was told to stop: whoever waits for it sees that. The kernel does not
/// stop a PID 1.
pub(super) fn suspend() {
    // SAFETY: plain system calls.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGSTOP);
    }
}

/// `PR_SET_PDEATHSIG`, prctl(2).
pub(super) fn set_parent_death_signal(signal: libc::c_int) {
    // SAFETY: a plain system call.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0);
    }
}
