//! Runs before `main`.
//!
//! - Protects relocated data.
//! - Records the disposition of SIGPIPE for the app: Rust's runtime ignores the signal before `main`.
//! - Handles the signals that end a start: PID 1 ignores signals without a handler, so `docker stop` would
//!   not end a start. The handler logs a line and exits at once. The next start sweeps staging.
//! - Makes signals for the app, such as USR1, harmless during a start.
//! - Unblocks the signals that end a start. The app gets the original mask back.
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
/// Signals for the app whose default action would end a start.
const FOR_THE_APP: [libc::c_int; 8] = [
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGSTKFLT,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
];

/// The real-time signals that the C library leaves to programs.
const REAL_TIME: std::ops::RangeInclusive<libc::c_int> = 35..=64;

static SILENT: AtomicBool = AtomicBool::new(false);
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
            // An ignored signal stays ignored, as `nohup` and a shell's `&` intend.
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_DFL
            {
                let mut handler: libc::sigaction = MaybeUninit::zeroed().assume_init();
                handler.sa_sigaction = exit_on as extern "C" fn(libc::c_int) as usize;
                libc::sigfillset(&raw mut handler.sa_mask);
                libc::sigaction(signal, &raw const handler, std::ptr::null_mut());
            }
            ending |= 1_u64 << (signal - 1);
        }
        for signal in FOR_THE_APP.into_iter().chain(REAL_TIME) {
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_DFL
            {
                // The app would inherit an ignored signal, but not a handler.
                let mut handler: libc::sigaction = MaybeUninit::zeroed().assume_init();
                handler.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
                handler.sa_flags = libc::SA_RESTART;
                libc::sigaction(signal, &raw const handler, std::ptr::null_mut());
            }
        }
        change_mask(libc::SIG_UNBLOCK, ending);
    }
}

extern "C" fn ignore(_: libc::c_int) {}

/// The handler for signals that end a start. It does only what signal-safety(7) allows.
extern "C" fn exit_on(signal: libc::c_int) {
    let text: &[u8] = match signal {
        libc::SIGTERM => b"bootstrap: stopped by SIGTERM before the app was started\n",
        libc::SIGINT => b"bootstrap: stopped by SIGINT before the app was started\n",
        libc::SIGHUP => b"bootstrap: stopped by SIGHUP before the app was started\n",
        _ => b"bootstrap: stopped by SIGQUIT before the app was started\n",
    };
    // SAFETY: write and _exit are async-signal-safe, and `text` is static.
    unsafe {
        if !SILENT.load(Ordering::Relaxed) {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        }
        libc::_exit(128 + signal);
    }
}

/// Makes the handler silent, for processes beside the app.
pub(crate) fn exit_silently() {
    SILENT.store(true, Ordering::Relaxed);
}

/// The signal mask that bootstrap inherited. Bit n-1 stands for signal n.
pub(crate) fn original_mask() -> u64 {
    MASK.load(Ordering::Relaxed)
}

pub(crate) fn sigpipe_was_ignored() -> bool {
    SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed)
}

/// Restores the inherited disposition of SIGPIPE.
pub(crate) fn restore_sigpipe() {
    let disposition = if sigpipe_was_ignored() {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    };
    // SAFETY: a plain system call with valid dispositions.
    unsafe {
        libc::signal(libc::SIGPIPE, disposition);
    }
}

/// Blocks exactly the signals of `bits`. Async-signal-safe.
pub(crate) fn set_mask(bits: u64) {
    change_mask(libc::SIG_SETMASK, bits);
}

/// Calls `rt_sigprocmask(2)` directly, because the C library's function leaves out the signals that it
/// uses itself (32 to 34 in musl), which must be blocked and forwarded, too. Returns the previous mask.
fn change_mask(how: libc::c_int, bits: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both pointers are to 64-bit sets, as the size says.
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
