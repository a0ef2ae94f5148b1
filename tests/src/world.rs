//! The process state of the tests and their children, independent of what started the run.
//!
//! A shell starts background jobs with SIGINT and SIGQUIT ignored, and `nohup` ignores SIGHUP. Other parents leave a
//! signal mask or an unusual umask. Children inherit this state, and tests of signals and file modes would fail.

use nix::libc::{SIG_IGN, c_int, sigaction};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask,
};
use nix::sys::stat::{Mode, umask};

/// Sets default dispositions for children, an empty signal mask and umask 022. Call it before any thread starts.
///
/// # Panics
///
/// If a system call fails.
pub fn restore() {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .expect("the signal mask is cleared");
    // The standard library ignores SIGPIPE in this process, and restores the default for each child.
    let others = Signal::iterator().filter(|signal| *signal != Signal::SIGPIPE);
    for signal in others.filter(|signal| is_ignored(*signal)) {
        // exec resets a handler to the default. An empty handler lets this process ignore the signal as before, so that
        // a run in the background does not end with the terminal.
        let ignore = SigAction::new(
            SigHandler::Handler(do_nothing),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        #[expect(unsafe_code, reason = "an empty handler is async-signal-safe")]
        unsafe { nix::sys::signal::sigaction(signal, &ignore) }.expect("a handler is installed");
    }
}

extern "C" fn do_nothing(_: c_int) {}

fn is_ignored(signal: Signal) -> bool {
    #[expect(
        unsafe_code,
        reason = "nix can read a disposition only by changing it; a null action reads it"
    )]
    let action = unsafe {
        let mut action: sigaction = std::mem::zeroed();
        let read = nix::libc::sigaction(signal as c_int, std::ptr::null(), &raw mut action);
        (read == 0).then_some(action)
    };
    action.is_some_and(|action| action.sa_sigaction == SIG_IGN)
}
