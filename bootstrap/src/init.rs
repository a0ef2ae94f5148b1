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
mod watcher;

use std::cell::Cell;
use std::time::Instant;

pub(crate) use options::{Handed, Options, RemapExit, SignalScope, Verbosity};
pub(crate) use signals::parse as parse_signal;
pub(crate) use spawn::failure as spawn_failure;
use supervisor::{Action, Supervisor};
use system::Ended;
pub(crate) use system::kill;

use crate::early;
use crate::exit::Failure;
use crate::image;
use crate::logging;

/// Runs the command to its end, and returns its exit code.
pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    logging::set_json(options.log_json);
    system::set_name("bootstrap");
    early::set_mask(u64::MAX);
    if options.subreaper {
        system::become_subreaper();
    }
    if let Some(signal) = options.parent_death_signal {
        system::set_parent_death_signal(signal);
    }
    if let Some(descriptor) = options.tree_lock {
        system::close_on_exec(descriptor);
    }
    let watcher = options.watch.and_then(|order| {
        watcher::start(order)
            .map_err(|error| logging::say(&format!("changes are not watched: {error}")))
            .ok()
    });
    let child = spawn::spawn(options)?;
    let init = Init {
        options,
        child,
        watcher: Cell::new(watcher),
    };
    let mut supervisor = Supervisor::new(options);
    image::give_back_pages();
    let code = loop {
        let now = Instant::now();
        let patience = supervisor
            .deadline()
            .map(|deadline| deadline.saturating_duration_since(now));
        let actions = match system::wait_for_signal(patience) {
            Some(libc::SIGCHLD) => init.reap(&mut supervisor),
            Some(signal) => match options.rewrite.apply(signal) {
                Some(signal) => supervisor.on_signal(signal, Instant::now()),
                None => Vec::new(),
            },
            None => supervisor.on_deadline(Instant::now()),
        };
        let code = actions.into_iter().find_map(|action| init.act(action));
        if let Some(code) = code {
            break code;
        }
    };
    system::give_back_foreground(child);
    Ok(options.remap_exit.apply(code))
}

struct Init<'a> {
    options: &'a Options,
    child: libc::pid_t,
    /// Until it has ended: its number may then become another's.
    watcher: Cell<Option<libc::pid_t>>,
}

impl Init<'_> {
    /// Does what was decided; returns the exit code where that is the end.
    fn act(&self, action: Action) -> Option<i32> {
        match action {
            Action::Drain => system::set_name("draining"),
            Action::Signal(signal) => self.send(signal),
            Action::SignalAll(signal) => descendants::signal(signal, None),
            Action::Suspend => system::suspend(),
            Action::Say(text) if self.options.verbosity != Verbosity::Quiet => logging::say(text),
            Action::Say(_) => {}
            Action::Exit(code) => return Some(code),
        }
        None
    }

    fn tell(&self, text: impl FnOnce() -> String) {
        if self.options.verbosity == Verbosity::Everything {
            logging::say(&text());
        }
    }

    /// One SIGCHLD may stand for many: every zombie is taken.
    fn reap(&self, supervisor: &mut Supervisor) -> Vec<Action> {
        let mut actions = Vec::new();
        loop {
            match system::reap() {
                Ended::Process(pid, code) => {
                    self.tell(|| format!("process {pid} has ended with {code}"));
                    if self.watcher.get() == Some(pid) {
                        self.watcher.set(None);
                    }
                    if pid == self.child {
                        actions.extend(supervisor.on_child_exit(code, Instant::now()));
                    }
                }
                Ended::NobodyYet => return actions,
                Ended::NobodyLeft => {
                    actions.extend(supervisor.on_nobody_left());
                    return actions;
                }
            }
        }
    }

    /// The child is not reaped before it is seen to have ended, so its id is nobody else's.
    fn send(&self, signal: libc::c_int) {
        self.tell(|| format!("signal {signal} is forwarded to process {}", self.child));
        match self.options.signal_scope {
            SignalScope::Child => system::kill(self.child, signal),
            SignalScope::Group => system::kill(-self.child, signal),
            SignalScope::All => descendants::signal(signal, self.watcher.get()),
        }
    }
}
