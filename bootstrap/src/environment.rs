//! The app's environment, from the lowest to the highest:
//!
//! 1. variables that the image sets (`PATH`, `HOME`, …)
//! 2. the config layers, merged
//! 3. secret files
//! 4. what was given to the container: that is what `-e` is for
//! 5. what bootstrap says of the app: `PLATFORM_*`, and `PORT` where nobody set it
//!
//! `BOOTSTRAP_*` never reaches the app.

pub(crate) mod command;
mod secrets;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use repository_api::config;

use crate::exit::{Exit, Failure};
use crate::release::Release;
use crate::settings::Settings;

/// Set by the engine or the image and not by whoever starts the container.
const IMAGE: [&str; 5] = ["PATH", "HOME", "HOSTNAME", "TERM", "PWD"];

/// Bytes of `NAME=value` and its NUL at the most (execve(2), `MAX_ARG_STRLEN`).
const MAX_STRING: usize = 128 << 10;

const DEFAULT_PORT: &str = "8080";

/// A complete environment. Shows no value.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            environment.set(*name, *value);
        }
        environment
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(pairs: T) -> Self {
        Self {
            variables: pairs.into_iter().collect(),
        }
    }
}

/// Builds the app's environment.
pub(crate) fn build(
    settings: &Settings,
    release: &Release,
    given: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Environment, Failure> {
    let mut environment = Environment::default();
    let is_image = |name: &OsStr| {
        let named = |known: &str| name == OsStr::new(known);
        IMAGE.iter().any(|known| named(known))
            || settings.image_env.iter().any(|known| named(known))
    };
    let (image, container): (Vec<_>, Vec<_>) = given
        .filter(|(name, _)| !is_ours(name))
        .partition(|(name, _)| is_image(name));
    for (name, value) in image {
        environment.set(name, value);
    }
    if let Some(user) = &settings.user {
        // The engine has set root's.
        environment.set("HOME", user.home());
    }
    for (name, value) in layers(release)? {
        environment.set(name, value);
    }
    let secrets = secrets::read(settings.secrets_dir.as_deref())?;
    for (name, value) in secrets {
        environment.set(name, value);
    }
    let mut overridden = Vec::new();
    for (name, value) in container {
        if environment
            .variables
            .get(&name)
            .is_some_and(|config| *config != value)
        {
            overridden.push(name.to_string_lossy().into_owned());
        }
        environment.set(name, value);
    }
    if !overridden.is_empty() {
        tracing::info!(
            stage = "environment",
            "the container's own variables override the config's: {}",
            overridden.join(", ")
        );
    }
    say_who_it_is(&mut environment, settings, release);
    for (name, value) in environment.iter() {
        if name.len() + value.len() + 2 > MAX_STRING {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "the value of {} is too long for the kernel: put it into a file",
                    name.display()
                ),
            ));
        }
    }
    Ok(environment)
}

fn is_ours(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"BOOTSTRAP_")
}

fn layers(release: &Release) -> Result<BTreeMap<String, String>, Failure> {
    let mut parsed = Vec::new();
    for layer in &release.layers {
        let mut file = config::parse(&layer.content).map_err(|error| {
            Failure::new(
                Exit::Config,
                format!("config layer {}, {error}", layer.name),
            )
        })?;
        for warning in &file.warnings {
            tracing::warn!("config layer {}: {warning}", layer.name);
        }
        file.assignments.retain(|assignment| {
            let ours = is_ours(OsStr::new(&assignment.name));
            if ours {
                tracing::warn!(
                    "config layer {}, line {}: {} is bootstrap's own and is not passed on; set it on the container",
                    layer.name,
                    assignment.line,
                    assignment.name
                );
            }
            !ours
        });
        parsed.push(file);
    }
    Ok(config::merge(&parsed))
}

fn say_who_it_is(environment: &mut Environment, settings: &Settings, release: &Release) {
    environment.set("PLATFORM_APP", settings.app.app.as_str());
    let said = [
        (
            "PLATFORM_VERSION",
            release.version.as_ref().map(ToString::to_string),
        ),
        (
            "PLATFORM_RELEASE",
            release.number.map(|number| format!("r{number}")),
        ),
        (
            "PLATFORM_ENVIRONMENT",
            settings.environment.as_ref().map(ToString::to_string),
        ),
    ];
    for (name, value) in said {
        match value {
            Some(value) => environment.set(name, value),
            None => {
                environment.variables.remove(OsStr::new(name));
            }
        }
    }
    if environment.get("PORT").is_none() {
        environment.set("PORT", DEFAULT_PORT);
    }
}
