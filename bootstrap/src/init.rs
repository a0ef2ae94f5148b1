//! The init: small and synchronous, so that it takes little memory while the app runs.
//!
//! 1. [`options`], [`mapping`]: read the options
//! 2. block every signal; become the subreaper of all descendants
//! 3. [`watcher`]: start the watcher for changes, if `ON_CHANGE` is set
//! 4. [`spawn`]: start the command with the mask and dispositions that bootstrap inherited
//! 5. [`system`]: wait for a signal or a deadline
//! 6. [`supervisor`]: decide; reap zombies on SIGCHLD, forward other signals to the command or its
//!    [`descendants`]
//! 7. end with the command's exit code when no process is left

mod descendants;
mod mapping;
mod options;
mod signals;
mod spawn;
mod supervisor;
mod system;
mod watcher;

use std::cell::Cell;
use std::time::Instant;

pub(crate) use mapping::RemapExit;
pub(crate) use options::{Handed, Options, SignalScope, Verbosity};
pub(crate) use signals::parse as parse_signal;
pub(crate) use spawn::failure as spawn_failure;
use supervisor::{Action, Supervisor};
use system::Reaped;
pub(crate) use system::kill;

use crate::early;
use crate::exit::Failure;
use crate::image;
use crate::logging;

/// Runs the command to its end; returns its exit code.
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
            .map_err(|error| logging::info(&format!("failed to watch for changes: {error}")))
            .ok()
    });
    let child = spawn::spawn(options)?;
    let init = Init {
        options,
        child,
        watcher: Cell::new(watcher),
    };
    let mut supervisor = Supervisor::new(options);
    let mut has_given_back = false;
    let code = loop {
        let now = Instant::now();
        let timeout = supervisor
            .deadline()
            .map(|deadline| deadline.saturating_duration_since(now));
        // Last, because every page that the start still uses would be loaded again.
        if !std::mem::replace(&mut has_given_back, true) {
            image::give_back_pages();
        }
        let actions = match system::wait_for_signal(timeout) {
            Some(libc::SIGCHLD) => init.reap(&mut supervisor),
            Some(signal) => match options.rewrite.apply(signal) {
                Some(signal) => supervisor.on_signal(signal, Instant::now()),
                None => Vec::new(),
            },
            None => supervisor.on_deadline(Instant::now()),
        };
        let code = actions.into_iter().find_map(|action| init.execute(action));
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
    /// `None` after the watcher has ended: another process can get its id.
    watcher: Cell<Option<libc::pid_t>>,
}

impl Init<'_> {
    /// Executes an action; returns the exit code if it is the last one.
    fn execute(&self, action: Action) -> Option<i32> {
        match action {
            Action::Drain => system::set_name("draining"),
            Action::Signal(signal) => self.send(signal),
            Action::SignalAll(signal) => descendants::signal(signal, None),
            Action::Suspend => system::suspend(),
            Action::Log(text) if self.options.verbosity != Verbosity::Quiet => logging::info(text),
            Action::Log(_) => {}
            Action::Exit(code) => return Some(code),
        }
        None
    }

    fn debug(&self, text: impl FnOnce() -> String) {
        if self.options.verbosity == Verbosity::Everything {
            logging::info(&text());
        }
    }

    /// Reaps every zombie: one SIGCHLD can stand for several.
    fn reap(&self, supervisor: &mut Supervisor) -> Vec<Action> {
        let mut actions = Vec::new();
        loop {
            match system::reap() {
                Reaped::Process(pid, code) => {
                    self.debug(|| format!("process {pid} ended with {code}"));
                    if self.watcher.get() == Some(pid) {
                        self.watcher.set(None);
                    }
                    if pid == self.child {
                        actions.extend(supervisor.on_child_exit(code, Instant::now()));
                    }
                }
                Reaped::None => return actions,
                Reaped::NoChildren => {
                    actions.extend(supervisor.on_no_children());
                    return actions;
                }
            }
        }
    }

    /// The child's id is still its own: only this process reaps it.
    fn send(&self, signal: libc::c_int) {
        self.debug(|| format!("forwarding signal {signal} to process {}", self.child));
        match self.options.signal_scope {
            SignalScope::Child => system::kill(self.child, signal),
            SignalScope::Group => system::kill(-self.child, signal),
            SignalScope::All => descendants::signal(signal, self.watcher.get()),
        }
    }
}
