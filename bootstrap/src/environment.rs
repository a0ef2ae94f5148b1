//! The app's environment. Later sources override earlier ones:
//!
//! 1. variables of the image (`PATH`, `HOME`, …)
//! 2. the merged config layers
//! 3. [`secrets`]: secret files
//! 4. variables of the container (`-e`)
//! 5. `PLATFORM_*`, and the default of `PORT`
//!
//! `BOOTSTRAP_*` never reaches the app. [`command`] splits commands with the variables of the environment.

pub(crate) mod command;
mod secrets;
mod variables;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use repository_api::config;

use crate::exit::{Exit, Failure};
use crate::release::Release;
use crate::settings::Settings;
pub(crate) use variables::Environment;

/// Variables of the image or the engine, and not of the container's user.
const IMAGE: [&str; 5] = ["PATH", "HOME", "HOSTNAME", "TERM", "PWD"];

/// Maximum size of `NAME=value` with its NUL, in bytes (execve(2), `MAX_ARG_STRLEN`).
const MAX_STRING: usize = 128 << 10;

const DEFAULT_PORT: &str = "8080";

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
        .filter(|(name, _)| !is_own(name))
        .partition(|(name, _)| is_image(name));
    for (name, value) in image {
        environment.set(name, value);
    }
    if let Some(user) = &settings.user {
        // The engine has set root's HOME.
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
            .get_os(&name)
            .is_some_and(|config| config != value)
        {
            overridden.push(name.to_string_lossy().into_owned());
        }
        environment.set(name, value);
    }
    if !overridden.is_empty() {
        tracing::info!(
            stage = "environment",
            "variables of the container override the config's: {}",
            overridden.join(", ")
        );
    }
    describe_app(&mut environment, settings, release);
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

fn is_own(name: &OsStr) -> bool {
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
            let own = is_own(OsStr::new(&assignment.name));
            if own {
                tracing::warn!(
                    "config layer {}, line {}: {} is a setting of bootstrap, not of the app; set it on the container",
                    layer.name,
                    assignment.line,
                    assignment.name
                );
            }
            !own
        });
        parsed.push(file);
    }
    Ok(config::merge(&parsed))
}

fn describe_app(environment: &mut Environment, settings: &Settings, release: &Release) {
    environment.set("PLATFORM_APP", settings.app.app.as_str());
    let variables = [
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
    for (name, value) in variables {
        match value {
            Some(value) => environment.set(name, value),
            None => {
                environment.remove(name);
            }
        }
    }
    if environment.get("PORT").is_none() {
        environment.set("PORT", DEFAULT_PORT);
    }
}
