//! Finds the app of this container.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use nix::unistd::geteuid;

use crate::environment::Environment;
use crate::exit::Failure;
use crate::user::AppUser;

/// The process that has the app's environment: the init, or with `MODE=exec` the app.
pub(super) struct Process {
    /// Its directory in `/proc`.
    pub(super) directory: PathBuf,
}

impl Process {
    pub(super) fn environment(&self) -> Result<Environment, Failure> {
        let bytes = fs::read(self.directory.join("environ")).map_err(|error| {
            Failure::unhealthy(
                "failed to read the app's environment: run the health check as the app's user",
            )
            .because(error)
        })?;
        let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            Some((
                OsString::from_vec(pair[..equals].to_vec()),
                OsString::from_vec(pair[equals + 1..].to_vec()),
            ))
        });
        Ok(pairs.collect())
    }

    /// Switches to the process's user. In a container, root lacks the capability to read the environment of
    /// another user's process. Besides, a command of the check must run as the app does.
    pub(super) fn switch_to_owner(&self) -> Result<(), Failure> {
        match AppUser::owner_of(&self.directory) {
            Some(owner) if geteuid().is_root() => switch_user(&owner),
            _ => Ok(()),
        }
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let line = fs::read(self.directory.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
    }

    fn is_bootstrap(&self) -> bool {
        let words = self.words();
        let name = words.first().map(|word| {
            word.rsplit(|byte| *byte == b'/')
                .next()
                .unwrap_or_default()
                .to_vec()
        });
        let helper = words.get(1).is_some_and(|word| {
            [&b"healthcheck"[..], b"sleep", b"_watch", b"_remove"].contains(&&word[..])
        });
        name.as_deref() == Some(b"bootstrap") && !helper
    }
}

fn switch_user(user: &AppUser) -> Result<(), Failure> {
    user.switch().map_err(|failure| {
        Failure::unhealthy("failed to switch to the app's user").because(failure)
    })
}

/// Finds the init, or with `MODE=exec` the app.
pub(super) fn find() -> Result<Process, Failure> {
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .map_err(|error| {
            Failure::unhealthy("failed to list the container's processes").because(error)
        })?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .collect();
    pids.sort_unstable();
    let process = |pid: &u32| Process {
        directory: PathBuf::from(format!("/proc/{pid}")),
    };
    let Some(bootstrap) = pids.iter().map(process).find(Process::is_bootstrap) else {
        // With MODE=exec, the app has bootstrap's variables.
        if let Some(user) = std::env::var_os("BOOTSTRAP_USER").filter(|_| geteuid().is_root()) {
            let user = AppUser::parse(&user.to_string_lossy()).map_err(|error| {
                Failure::unhealthy(format!("BOOTSTRAP_USER is invalid: {error}"))
            })?;
            switch_user(&user)?;
        }
        return pids
            .iter()
            .map(process)
            .find(|process| {
                process
                    .environment()
                    .is_ok_and(|environment| environment.get("PLATFORM_APP").is_some())
            })
            .ok_or_else(|| {
                Failure::unhealthy("bootstrap has not started an app in this container")
            });
    };
    if bootstrap.words().get(1).map(Vec::as_slice) != Some(b"init") {
        return Err(Failure::unhealthy(
            "the app has not started yet: bootstrap is fetching or unpacking it",
        ));
    }
    let name = fs::read_to_string(bootstrap.directory.join("comm")).unwrap_or_default();
    if name.trim_end() == "draining" {
        return Err(Failure::unhealthy("the app is stopping"));
    }
    Ok(bootstrap)
}
