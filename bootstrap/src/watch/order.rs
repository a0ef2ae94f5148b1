//! The watcher's order, from the start to the watcher.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::getpid;
use repository_api::Digest;
use serde::{Deserialize, Serialize};

use crate::arguments::StartArguments;
use crate::exit::Failure;
use crate::release::Release;
use crate::settings::{self, Settings};

/// The release to watch, and the started one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// bootstrap's own variables, including the token.
    variables: Vec<(String, String)>,
    app: String,
    repository: String,
    /// The substance of the started release.
    pub(super) started: Digest,
    pub(super) signal: i32,
    /// The init.
    pub(super) init: i32,
}

impl Order {
    pub(crate) fn new(settings: &Settings, release: &Release, signal: i32) -> Self {
        let mut variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("BOOTSTRAP_") && name != "BOOTSTRAP_TOKEN_FILE")
            .map(|(name, value)| {
                // The watcher's directory is the app's tree, so relative paths must become absolute.
                let is_path =
                    ["BOOTSTRAP_CA_FILE", "BOOTSTRAP_TRUSTED_KEYS_FILE"].contains(&&*name);
                let absolute = is_path.then(|| {
                    std::fs::canonicalize(&value)
                        .ok()?
                        .into_os_string()
                        .into_string()
                        .ok()
                });
                (name, absolute.flatten().unwrap_or(value))
            })
            .collect();
        if let Some(token) = &settings.token {
            variables.retain(|(name, _)| name != "BOOTSTRAP_TOKEN");
            variables.push(("BOOTSTRAP_TOKEN".to_owned(), token.0.clone()));
        }
        Self {
            variables,
            app: settings.app.to_string(),
            repository: settings.origin.with_credentials(),
            started: release.substance(),
            signal,
            init: getpid().as_raw(),
        }
    }

    /// Writes the order into memory. Only processes with the descriptor can read it.
    pub(crate) fn write(&self) -> io::Result<File> {
        let mut file = File::from(memfd_create(c"order", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.rewind()?;
        Ok(file)
    }

    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let arguments = StartArguments {
            app: Some(self.app.clone()),
            repository: Some(self.repository.clone()),
            command: Vec::new(),
        };
        let pairs = self
            .variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        settings::read(&arguments, pairs).map(|(settings, _)| settings)
    }
}
