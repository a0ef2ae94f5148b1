//! What must happen before `main`.
//!
//! - Rust's runtime ignores SIGPIPE before `main`; the app must get the disposition that bootstrap
//!   was started with, so it is recorded first.
//! - PID 1 ignores every signal that it does not handle; a container stuck in back-off that nobody
//!   can stop is the first bug that a user meets. So the signals that end a start are handled from
//!   here on: the handler says so and leaves at once, whatever the process is doing. What lies in
//!   staging is swept at the next start.
//! - Signals that are meant for the app (USR1 and its like) have nobody to go to yet: they have no
//!   effect, whether bootstrap is PID 1, which the kernel spares them, or not.
//! - A signal that was blocked when bootstrap was started is unblocked for as long as bootstrap
//!   itself runs; the app gets the mask back.
#![expect(
    unsafe_code,
    reason = "runs before main and installs signal handlers: libc is all there is"
)]

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::image;

/// The signals that end a start.
const ENDING: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);
/// Those whose default would end a start that is none of their business.
const MEANT_FOR_THE_APP: [libc::c_int; 8] = [
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGSTKFLT,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
];

/// The first and the last real-time signal that the C library leaves to programs.
const REAL_TIME: std::ops::RangeInclusive<libc::c_int> = 35..=64;

static QUIET: AtomicBool = AtomicBool::new(false);
static MASK: AtomicU64 = AtomicU64::new(0);

// SAFETY: the C library calls each pointer in this section once, before main, in the only thread.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    image::protect_relocated_data();
    // SAFETY: plain system calls on local, initialised memory; no other thread exists yet.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) == 0 {
            SIGPIPE_WAS_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
        }
        MASK.store(change_mask(libc::SIG_BLOCK, 0), Ordering::Relaxed);
        let mut ending = 0;
        for signal in ENDING {
            // An ignored signal stays ignored: that is how `nohup` and a shell's `&` are meant.
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_DFL
            {
                let mut handler: libc::sigaction = MaybeUninit::zeroed().assume_init();
                handler.sa_sigaction = leave as extern "C" fn(libc::c_int) as usize;
                libc::sigfillset(&raw mut handler.sa_mask);
                libc::sigaction(signal, &raw const handler, std::ptr::null_mut());
            }
            ending |= 1_u64 << (signal - 1);
        }
        for signal in MEANT_FOR_THE_APP.into_iter().chain(REAL_TIME) {
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_DFL
            {
                // A handler, because the app would inherit an ignored signal.
                let mut handler: libc::sigaction = MaybeUninit::zeroed().assume_init();
                handler.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
                handler.sa_flags = libc::SA_RESTART;
                libc::sigaction(signal, &raw const handler, std::ptr::null_mut());
            }
        }
        change_mask(libc::SIG_UNBLOCK, ending);
    }
}

extern "C" fn nothing(_: libc::c_int) {}

/// The handler: only what signal-safety(7) allows.
extern "C" fn leave(signal: libc::c_int) {
    let text: &[u8] = match signal {
        libc::SIGTERM => b"bootstrap: stopped by SIGTERM before the app was started\n",
        libc::SIGINT => b"bootstrap: stopped by SIGINT before the app was started\n",
        libc::SIGHUP => b"bootstrap: stopped by SIGHUP before the app was started\n",
        _ => b"bootstrap: stopped by SIGQUIT before the app was started\n",
    };
    // SAFETY: write and _exit are async-signal-safe, and `text` is static.
    unsafe {
        if !QUIET.load(Ordering::Relaxed) {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        }
        libc::_exit(128 + signal);
    }
}

/// For a helper, whose end is nobody's news.
pub(crate) fn leave_quietly() {
    QUIET.store(true, Ordering::Relaxed);
}

/// The mask that bootstrap was started with: bit n-1 stands for signal n.
pub(crate) fn original_mask() -> u64 {
    MASK.load(Ordering::Relaxed)
}

pub(crate) fn sigpipe_was_ignored() -> bool {
    SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed)
}

/// Sets SIGPIPE back to what bootstrap was started with.
pub(crate) fn restore_sigpipe() {
    let disposition = if sigpipe_was_ignored() {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    };
    // SAFETY: a plain system call; both dispositions are always valid.
    unsafe {
        libc::signal(libc::SIGPIPE, disposition);
    }
}

/// Blocks exactly the signals of `bits`. Async-signal-safe.
pub(crate) fn set_mask(bits: u64) {
    change_mask(libc::SIG_SETMASK, bits);
}

/// `rt_sigprocmask(2)` itself: the C library's function leaves out the signals that it has a use for
/// (32 to 34 with musl), and those must be blocked and forwarded too. Returns the mask before.
fn change_mask(how: libc::c_int, bits: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both pointers are to 64-bit sets, of the size given, as the kernel has them.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const bits,
            &raw mut before,
            size_of::<u64>(),
        );
    }
    before
}
