//! Tests and their children start with the same process state, independent of what started the run.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::sys::stat::{Mode, umask};

const DEFAULTS: &str = "world::children_start_with_default_signals_and_umask";

#[test]
fn children_start_with_default_signals_and_umask() {
    let child = Command::new("cat")
        .arg("/proc/self/status")
        .output()
        .unwrap();
    let status = String::from_utf8(child.stdout).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let set = |name: &str| u64::from_str_radix(&field(name), 16).unwrap();
    // The C library reserves signals 32 and 33.
    assert_eq!(set("SigIgn:") & !(0b11 << 31), 0);
    assert_eq!(set("SigBlk:"), 0);
    assert_eq!(field("Umask:"), "0022");
}

/// A run may be a background job of a script, or start under `nohup` or a service manager.
#[test]
fn a_run_may_be_started_in_any_state() {
    let outcome = run_again(DEFAULTS, || {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        for signal in [
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGHUP,
            Signal::SIGPIPE,
            Signal::SIGTERM,
            Signal::SIGCHLD,
        ] {
            #[expect(unsafe_code, reason = "SIG_IGN runs no code")]
            unsafe { sigaction(signal, &ignore) }?;
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None)?;
        umask(Mode::from_bits_truncate(0o077));
        nix::unistd::setsid()?;
        nix::unistd::close(0)?;
        Ok(())
    });
    let printed = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(outcome.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}

/// Runs one test of this binary in a process that `prepare` has changed before it starts.
fn run_again(test: &str, prepare: impl Fn() -> nix::Result<()> + Send + Sync + 'static) -> Output {
    let mut command = Command::new(fs::read_link("/proc/self/exe").unwrap());
    command.args([test, "--exact"]).stdout(Stdio::piped());
    #[expect(
        unsafe_code,
        reason = "between fork and exec, `prepare` makes system calls only"
    )]
    unsafe {
        command.pre_exec(move || prepare().map_err(Into::into));
    }
    command.output().unwrap()
}
