//! The process state that tests and their children start from, whatever started the run.
//!
//! A shell starts background jobs with SIGINT and SIGQUIT ignored, `nohup` ignores SIGHUP, others leave a signal mask
//! or an unusual umask behind. Children inherit all of it, and the tests of signals and modes would see another program.

use nix::libc::{SIG_IGN, c_int, sigaction};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask,
};
use nix::sys::stat::{Mode, umask};

/// Gives children default dispositions, an empty signal mask and umask 022. Call it before any thread starts.
///
/// # Panics
///
/// Where the kernel refuses: the tests would not mean what they say.
pub fn restore() {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .expect("the signal mask is cleared");
    // The standard library ignores SIGPIPE itself, and gives each child the default.
    let others = Signal::iterator().filter(|signal| *signal != Signal::SIGPIPE);
    for signal in others.filter(|signal| is_ignored(*signal)) {
        // A handler is reset to the default by exec, while this process goes on ignoring the signal: whoever started
        // the run in the background does not want it to end with the terminal.
        let ignore = SigAction::new(
            SigHandler::Handler(nothing),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        #[expect(
            unsafe_code,
            reason = "the handler does nothing, so it is safe at any time"
        )]
        unsafe { nix::sys::signal::sigaction(signal, &ignore) }.expect("a handler is installed");
    }
}

extern "C" fn nothing(_: c_int) {}

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
