//! `bootstrap healthcheck`: is the app of this container ready?
//!
//! 1. [`process`]: find the app by `/proc`, where the init shows whether it runs or drains
//! 2. switch to the app's user, and read its environment
//! 3. [`probe`]: connect to its port or request a path; or run the command of the config

mod probe;
mod process;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::environment::{Environment, command};
use crate::exit::{Exit, Failure};
use crate::logging;
use probe::TIMEOUT;
use process::Process;

/// Timeout of a command. Engines other than the images' HEALTHCHECK may allow more time than for a probe.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

/// The process id of the check's command, or 0.
static COMMAND: AtomicI32 = AtomicI32::new(0);

/// Ends this process and the check's command after a timeout.
fn exit_after(timeout: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(timeout);
        logging::info(&format!("no answer within {timeout:?}"));
        let command = COMMAND.load(Ordering::Relaxed);
        if command > 0 {
            let _ = kill(Pid::from_raw(command), Signal::SIGKILL);
        }
        std::process::exit(Exit::Unhealthy.code());
    });
}

/// Checks the app, and logs the result.
pub(crate) fn run() -> Result<i32, Failure> {
    // The environment of this process can contain a token.
    let _ = prctl::set_dumpable(false);
    let process = process::find()?;
    process.switch_to_owner()?;
    let environment = process.environment()?;
    let check = std::env::var_os("BOOTSTRAP_HEALTHCHECK")
        .filter(|check| !check.is_empty())
        .or_else(|| environment.get("HEALTHCHECK").map(OsStr::to_owned))
        .unwrap_or_else(|| "tcp".into());
    let check = check
        .to_str()
        .ok_or_else(|| Failure::unhealthy("HEALTHCHECK is not UTF-8"))?;
    exit_after(if check.starts_with("exec ") {
        COMMAND_TIMEOUT
    } else {
        TIMEOUT
    });
    match check {
        "process" => Ok(()),
        "tcp" => probe::connect(&environment).map(drop),
        path if path.starts_with('/') => probe::get(&environment, path),
        _ => match check.strip_prefix("exec ") {
            Some(command) => execute(&process, &environment, command),
            None => Err(Failure::unhealthy(
                "HEALTHCHECK is invalid: expected tcp, process, /path or exec COMMAND",
            )),
        },
    }?;
    let variable = |name: &str| environment.get(name).and_then(OsStr::to_str);
    let release = variable("PLATFORM_RELEASE").or_else(|| variable("PLATFORM_VERSION"));
    logging::info(&match (variable("PLATFORM_APP"), release) {
        (Some(app), Some(release)) => format!("ready: {app} {release}"),
        _ => "ready".to_owned(),
    });
    Ok(0)
}

fn execute(process: &Process, environment: &Environment, text: &str) -> Result<(), Failure> {
    let words = command::split(text.as_bytes(), environment).map_err(|error| {
        Failure::unhealthy("the command in HEALTHCHECK is invalid").because(error)
    })?;
    let status = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(environment.iter())
        .current_dir(process.directory.join("cwd"))
        .stdin(Stdio::null())
        .spawn()
        .and_then(|mut child| {
            COMMAND.store(
                i32::try_from(child.id()).unwrap_or_default(),
                Ordering::Relaxed,
            );
            child.wait()
        })
        .map_err(|error| {
            Failure::unhealthy(format!("failed to start {}", words[0].display())).because(error)
        })?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::unhealthy(format!(
        "{} ended with {status}",
        OsStr::from_bytes(words[0].as_bytes()).display()
    )))
}
