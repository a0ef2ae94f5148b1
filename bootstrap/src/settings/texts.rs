//! The known variables, as texts.

use std::ffi::OsString;

use serde::Deserialize;

use crate::exit::{Exit, Failure};

pub(super) const PREFIX: &str = "BOOTSTRAP_";

macro_rules! texts {
    ($($field:ident $name:literal,)*) => {
        /// All fields are texts, because an error of `envy` would show the value.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        pub(super) struct Texts { $(pub(super) $field: Option<String>,)* }

        const KNOWN: &[&str] = &[$($name),*];
    };
}

texts! {
    app "APP",
    repository "REPOSITORY",
    environment "ENVIRONMENT",
    token_file "TOKEN_FILE",
    token "TOKEN",
    dir "DIR",
    deadline "DEADLINE",
    log_format "LOG_FORMAT",
    wait "WAIT",
    stall_timeout "STALL_TIMEOUT",
    max_download "MAX_DOWNLOAD",
    max_unpacked "MAX_UNPACKED",
    max_entries "MAX_ENTRIES",
    trusted_keys_file "TRUSTED_KEYS_FILE",
    min_release "MIN_RELEASE",
    ca_file "CA_FILE",
    offline "OFFLINE",
    mode "MODE",
    signal_scope "SIGNAL_SCOPE",
    remap_exit "REMAP_EXIT",
    user "USER",
    log "LOG",
    allow_unverified "ALLOW_UNVERIFIED",
    secrets_dir "SECRETS_DIR",
    image_env "IMAGE_ENV",
    startup_command "STARTUP_COMMAND",
    healthcheck "HEALTHCHECK",
    stop_signal "STOP_SIGNAL",
    drain_period "DRAIN_PERIOD",
    grace_period "GRACE_PERIOD",
    on_change "ON_CHANGE",
    change_debounce "CHANGE_DEBOUNCE",
    change_splay "CHANGE_SPLAY",
}

/// Reads the variables, and warnings about unknown ones. An empty variable counts as unset, because a
/// Compose file's `${NAME:-}` sets an empty one.
pub(super) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Texts, Vec<String>), Failure> {
    let mut pairs = Vec::new();
    let mut warnings = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        if !KNOWN.contains(&name) {
            warnings.push(format!(
                "ignoring {PREFIX}{name}: bootstrap has no such setting"
            ));
            continue;
        }
        let value = value
            .into_string()
            .map_err(|_| malformed(name, "expected UTF-8"))?;
        if !value.is_empty() {
            pairs.push((format!("{PREFIX}{name}"), value));
        }
    }
    let texts = envy::prefixed(PREFIX)
        .from_iter(pairs)
        .map_err(|_| Failure::new(Exit::Usage, "failed to read the environment"))?;
    Ok((texts, warnings))
}

/// The failure for an invalid variable.
pub(super) fn malformed(name: &str, expected: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("{PREFIX}{name} is invalid: {expected}"),
    )
}
