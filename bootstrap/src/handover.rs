//! The handover: exec of itself as `bootstrap init …`, so that the memory that the fetch took is
//! gone, or of the app itself with `MODE=exec`.
//!
//! Signals are blocked across the exec: one that arrives meanwhile waits for the new image, where it
//! would be lost on a PID 1 without handlers.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{execve, execvpe};
use tracing::Level;

use crate::early;
use crate::environment::{Environment, command};
use crate::exit::{Exit, Failure};
use crate::init::{self, Handed, Options, Verbosity};
use crate::release::Release;
use crate::settings::{Mode, Settings};
use crate::tree::Tree;
use crate::watch::Order;

/// An app that is unpacked and configured.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) settings: Settings,
    pub(crate) release: Release,
    pub(crate) tree: Tree,
    pub(crate) environment: Environment,
}

/// Starts the app; returns only where that fails.
pub(crate) fn hand_over(prepared: &Prepared, command: &[OsString]) -> Result<i32, Failure> {
    let options = options(prepared, command)?;
    let order = order(prepared)?;
    // From here on nothing of root's is needed.
    if let Some(user) = &prepared.settings.user {
        user.become_it()?;
    }
    std::env::set_current_dir(&prepared.tree.path).map_err(|error| {
        Failure::new(
            Exit::CannotWrite,
            format!("failed to enter {}", prepared.tree.path.display()),
        )
        .because(error)
    })?;
    refuse_noexec(&prepared.tree.path, &options.command)?;
    let shown: Vec<String> = options
        .command
        .iter()
        .take(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    tracing::info!(
        stage = "start",
        "starting {} in {}, PORT {}",
        shown.join(" "),
        prepared.tree.path.display(),
        prepared
            .environment
            .get("PORT")
            .unwrap_or_default()
            .display()
    );
    let environment = strings(prepared.environment.iter().map(|(name, value)| {
        let mut pair = name.to_owned();
        pair.push("=");
        pair.push(value);
        pair
    }))?;
    match prepared.settings.mode {
        Mode::Exec => become_the_app(&options.command, &environment),
        Mode::Supervise => become_the_init(&options, prepared, order.as_ref(), &environment),
    }
}

fn options(prepared: &Prepared, command: &[OsString]) -> Result<Options, Failure> {
    let Prepared {
        settings,
        environment,
        ..
    } = prepared;
    let mut options = Options {
        signal_scope: settings.signal_scope,
        remap_exit: settings.remap_exit.clone(),
        verbosity: match settings.log.level {
            Level::ERROR => Verbosity::Quiet,
            Level::WARN | Level::INFO => Verbosity::Notable,
            Level::DEBUG | Level::TRACE => Verbosity::Everything,
        },
        command: words(
            settings.overrides.startup_command.as_deref(),
            environment,
            command,
        )?,
        ..Options::default()
    };
    let keys = [
        (
            "stop-signal",
            "STOP_SIGNAL",
            &settings.overrides.stop_signal,
        ),
        ("drain", "DRAIN_PERIOD", &settings.overrides.drain_period),
        ("grace", "GRACE_PERIOD", &settings.overrides.grace_period),
    ];
    for (option, key, over) in keys {
        let (value, name, exit) = match (over, environment.get(key)) {
            (Some(value), _) => (value.clone(), format!("BOOTSTRAP_{key}"), Exit::Usage),
            (None, Some(value)) => (
                value.to_string_lossy().into_owned(),
                key.to_owned(),
                Exit::Config,
            ),
            (None, None) => continue,
        };
        options
            .set(option, &value)
            .map_err(|error| Failure::new(exit, format!("{name} is not usable: {error}")))?;
    }
    Ok(options)
}

/// What the watcher is to do, if changes are to be watched (`ON_CHANGE`).
fn order(prepared: &Prepared) -> Result<Option<File>, Failure> {
    let Prepared {
        settings,
        release,
        environment,
        ..
    } = prepared;
    let (text, name, exit) = match (&settings.overrides.on_change, environment.get("ON_CHANGE")) {
        (Some(text), _) => (text.clone(), "BOOTSTRAP_ON_CHANGE", Exit::Usage),
        (None, Some(text)) => (
            text.to_string_lossy().into_owned(),
            "ON_CHANGE",
            Exit::Config,
        ),
        (None, None) => return Ok(None),
    };
    let signal = match text.strip_prefix("signal:") {
        Some(signal) => init::parse_signal(signal),
        None if text == "ignore" => return Ok(None),
        // As docker stop does it: the app is drained, ends, and is started again by the engine.
        None => (text == "exit").then_some(libc::SIGTERM),
    };
    let refused = |what: &str| Failure::new(exit, format!("{name} is not usable: {what}"));
    let signal = signal
        .ok_or_else(|| refused("expected ignore, exit, or signal:HUP with a signal's name"))?;
    if settings.mode == Mode::Exec {
        return Err(refused(
            "with BOOTSTRAP_MODE=exec nobody is there to watch for changes",
        ));
    }
    if release.version.is_none() {
        tracing::warn!("{name}: a plain file server cannot be watched for changes");
        return Ok(None);
    }
    Order::new(settings, release, signal)
        .write()
        .map(Some)
        .map_err(|error| {
            Failure::new(
                Exit::CannotWrite,
                "failed to prepare the watching for changes",
            )
            .because(error)
        })
}

/// The command line's own words, or the config's `STARTUP_COMMAND`, split.
fn words(
    over: Option<&str>,
    environment: &Environment,
    command: &[OsString],
) -> Result<Vec<OsString>, Failure> {
    if !command.is_empty() {
        return Ok(command.to_vec());
    }
    let (text, name) = match (over, environment.get("STARTUP_COMMAND")) {
        (Some(text), _) => (OsStr::new(text), "BOOTSTRAP_STARTUP_COMMAND"),
        (None, Some(text)) => (text, "STARTUP_COMMAND"),
        (None, None) => {
            return Err(Failure::new(
                Exit::Config,
                "there is no STARTUP_COMMAND: put it into the app's config, as in STARTUP_COMMAND=./hello-world, or write the command after --",
            ));
        }
    };
    command::split(text.as_bytes(), environment).map_err(|error| {
        Failure::new(Exit::Config, format!("{name} cannot be started")).because(error)
    })
}

/// A tmpfs is `noexec` by default; "permission denied" would send people to look at modes.
fn refuse_noexec(tree: &Path, command: &[OsString]) -> Result<(), Failure> {
    let Some(program) = command
        .first()
        .filter(|program| program.as_bytes().contains(&b'/'))
    else {
        return Ok(());
    };
    let Ok(program) = std::fs::canonicalize(program) else {
        return Ok(());
    };
    let noexec = statvfs(&program).is_ok_and(|found| found.flags().contains(FsFlags::ST_NOEXEC));
    if !noexec || !program.starts_with(tree) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::CannotWrite,
        format!(
            "{} is on a file system that is mounted noexec, so nothing in it can be started: mount it with exec, as in --tmpfs {}:exec",
            program.display(),
            tree.parent().unwrap_or(tree).display()
        ),
    ))
}

fn strings(texts: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Failure> {
    texts
        .map(|text| {
            CString::new(text.as_bytes()).map_err(|_| {
                Failure::new(Exit::Config, "the command or a variable holds a NUL byte")
            })
        })
        .collect()
}

fn become_the_app(command: &[OsString], environment: &[CString]) -> Result<i32, Failure> {
    let words = strings(command.iter().cloned())?;
    early::restore_sigpipe();
    early::set_mask(early::original_mask());
    let path = environment
        .iter()
        .find_map(|pair| pair.as_bytes().strip_prefix(b"PATH="));
    let error = exec_in_path(
        &words,
        environment,
        path.unwrap_or(b"/usr/local/bin:/bin:/usr/bin"),
    );
    Err(init::spawn_failure(&command[0], error.into()))
}

/// execvpe(3) of the C library looks in our own PATH; the app's is the right one.
fn exec_in_path(words: &[CString], environment: &[CString], path: &[u8]) -> Errno {
    let program = words[0].as_bytes();
    if program.contains(&b'/') {
        return execve(&words[0], words, environment)
            .err()
            .unwrap_or(Errno::ENOENT);
    }
    let mut last = Errno::ENOENT;
    for directory in path.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        let Ok(candidate) = CString::new([directory, b"/", program].concat()) else {
            continue;
        };
        let error = execve(&candidate, words, environment)
            .err()
            .unwrap_or(Errno::ENOENT);
        if error != Errno::ENOENT && error != Errno::ENOTDIR {
            last = error;
        }
    }
    last
}

fn become_the_init(
    options: &Options,
    prepared: &Prepared,
    order: Option<&File>,
    environment: &[CString],
) -> Result<i32, Failure> {
    let mut words: Vec<OsString> = vec!["bootstrap".into(), "init".into()];
    let handed = Handed {
        mask: early::original_mask(),
        log_json: prepared.settings.log.json,
        tree_lock: prepared
            .tree
            .lock
            .as_ref()
            .and_then(|lock| keep_open(lock).ok()),
        watch: order.and_then(|order| keep_open(order).ok()),
    };
    words.extend(options.to_arguments(handed));
    let words = strings(words.into_iter())?;
    early::set_mask(u64::MAX);
    early::restore_sigpipe();
    // `/proc/self/exe` is right whatever the binary is called and even where it was replaced;
    // without /proc the name that it was started by is left.
    let error = execve(c"/proc/self/exe", &words, environment)
        .err()
        .unwrap_or(Errno::ENOENT);
    let own = std::env::args_os()
        .next()
        .and_then(|name| CString::new(name.as_bytes()).ok());
    if let (Some(own), true) = (own, error == Errno::ENOENT) {
        let _ = execvpe(&own, &words, environment);
    }
    early::set_mask(early::original_mask());
    if error == Errno::E2BIG {
        return Err(Failure::new(
            Exit::Config,
            "the environment and the command are too long for the kernel: put large values into files",
        ));
    }
    Err(Failure::new(Exit::NotExecutable, "failed to hand over to the init").because(error))
}

/// Keeps a descriptor open across the exec. The init closes it for the app.
fn keep_open(lock: &File) -> nix::Result<i32> {
    fcntl(lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(lock.as_raw_fd())
}
