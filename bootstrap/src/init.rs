//! The init: small and synchronous, so that little memory is held while the app runs.
//!
//! 1. block every signal, become the subreaper of all descendants
//! 2. [`spawn`]: start the command, with the mask and dispositions that bootstrap was given
//! 3. wait for a signal or a deadline; [`supervisor`] says what follows
//! 4. SIGCHLD reaps every zombie; others are forwarded
//! 5. the command's exit code, once nothing of it is left

mod descendants;
mod options;
mod signals;
mod spawn;
mod supervisor;
mod system;

use std::time::Instant;

pub(crate) use options::{Handed, Options, RemapExit, SignalScope};
pub(crate) use spawn::failure as spawn_failure;
use supervisor::{Action, Supervisor};
use system::Ended;

use crate::early;
use crate::exit::Failure;
use crate::logging;

/// Runs the command to its end, and returns its exit code.
pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    logging::set_json(options.log_json);
    system::set_name("bootstrap");
    early::set_mask(u64::MAX);
    system::become_subreaper();
    if let Some(descriptor) = options.tree_lock {
        system::close_on_exec(descriptor);
    }
    let child = spawn::spawn(options)?;
    let mut supervisor = Supervisor::new(options);
    loop {
        let now = Instant::now();
        let actions = match system::wait_for_signal(
            supervisor
                .deadline()
                .map(|deadline| deadline.saturating_duration_since(now)),
        ) {
            Some(libc::SIGCHLD) => reap(child, &mut supervisor),
            Some(signal) => supervisor.on_signal(signal, Instant::now()),
            None => supervisor.on_deadline(Instant::now()),
        };
        for action in actions {
            match action {
                Action::Drain => system::set_name("draining"),
                Action::Signal(signal) => send(options.signal_scope, child, signal),
                Action::SignalAll(signal) => descendants::signal(signal),
                Action::Say(text) => logging::say(text),
                Action::Exit(code) => return Ok(options.remap_exit.apply(code)),
            }
        }
    }
}

/// One SIGCHLD may stand for many: every zombie is taken.
fn reap(child: libc::pid_t, supervisor: &mut Supervisor) -> Vec<Action> {
    let mut actions = Vec::new();
    loop {
        match system::reap() {
            Ended::Process(pid, code) if pid == child => {
                actions.extend(supervisor.on_child_exit(code, Instant::now()));
            }
            Ended::Process(..) => {}
            Ended::NobodyYet => return actions,
            Ended::NobodyLeft => {
                actions.extend(supervisor.on_nobody_left());
                return actions;
            }
        }
    }
}

/// The child is not reaped before it is seen to have ended, so its id is nobody else's.
fn send(scope: SignalScope, child: libc::pid_t, signal: libc::c_int) {
    match scope {
        SignalScope::Child => system::kill(child, signal),
        SignalScope::Group => system::kill(-child, signal),
        SignalScope::All => descendants::signal(signal),
    }
}
