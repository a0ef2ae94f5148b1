//! The settings: `BOOTSTRAP_*` variables, and arguments, which override them.
//!
//! 1. [`texts`]: keep the known variables, which must be UTF-8 (`envy` panics on others); `envy` fills a
//!    struct of texts
//! 2. [`values`], [`origin`]: parse each text; errors name the variable and never its value
//! 3. [`groups`]: settings that belong together

mod groups;
mod origin;
mod texts;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use repository_api::{AppReference, EnvironmentName, units};

use crate::arguments::StartArguments;
use crate::exit::{Exit, Failure};
use crate::init::{RemapExit, SignalScope};
use crate::logging::Log;
use crate::user::AppUser;
use groups::{Change, Overrides, Token};
pub(crate) use groups::{Limits, Mode, Trust};
pub(crate) use origin::Origin;
use texts::{Texts, malformed};
use values::{boolean, change, limits, log, optional, permission, setting, token, trust};

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) app: AppReference,
    pub(crate) origin: Origin,
    pub(crate) environment: Option<EnvironmentName>,
    pub(crate) token: Option<Token>,
    pub(crate) dir: PathBuf,
    pub(crate) deadline: Duration,
    pub(crate) wait: bool,
    pub(crate) stall_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) trust: Trust,
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether a saved release may start while the repository is away.
    pub(crate) offline: bool,
    pub(crate) allow_unverified: bool,
    /// `None` for the default, which may be missing.
    pub(crate) secrets_dir: Option<PathBuf>,
    /// Variables of the image, which the config overrides.
    pub(crate) image_env: Vec<String>,
    pub(crate) mode: Mode,
    pub(crate) signal_scope: SignalScope,
    pub(crate) remap_exit: RemapExit,
    /// The app's user, if it differs from bootstrap's.
    pub(crate) user: Option<AppUser>,
    pub(crate) change: Change,
    pub(crate) overrides: Overrides,
    pub(crate) log: Log,
}

/// Reads the settings, and warnings to log later.
pub(crate) fn read(
    arguments: &StartArguments,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Settings, Vec<String>), Failure> {
    let (texts, warnings) = texts::read(variables)?;
    Ok((from_texts(arguments, texts)?, warnings))
}

fn from_texts(arguments: &StartArguments, texts: Texts) -> Result<Settings, Failure> {
    let limits = limits(&texts)?;
    let change = change(&texts)?;
    let app = arguments.app.clone().or(texts.app).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "no app: name it as the first argument, or set BOOTSTRAP_APP",
        )
    })?;
    let app = app
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format!("{error}")))?;
    let repository = arguments
        .repository
        .clone()
        .or(texts.repository)
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "no repository: name it as the second argument, or set BOOTSTRAP_REPOSITORY",
            )
        })?;
    let origin = repository.parse().map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("the repository's address is invalid: {error}"),
        )
    })?;
    Ok(Settings {
        app,
        origin,
        environment: optional("ENVIRONMENT", texts.environment, |text| {
            text.parse::<EnvironmentName>().map_err(drop)
        })?,
        token: token(texts.token_file, texts.token)?,
        dir: texts.dir.unwrap_or_else(|| "/app".to_owned()).into(),
        deadline: setting("DEADLINE", texts.deadline.as_deref(), "5m", units::duration)?,
        wait: setting("WAIT", texts.wait.as_deref(), "false", boolean)?,
        stall_timeout: setting(
            "STALL_TIMEOUT",
            texts.stall_timeout.as_deref(),
            "15s",
            units::duration,
        )?,
        limits,
        trust: trust(texts.trusted_keys_file, texts.min_release.as_deref())?,
        offline: setting("OFFLINE", texts.offline.as_deref(), "deny", permission)?,
        ca_file: texts.ca_file.map(PathBuf::from),
        allow_unverified: setting(
            "ALLOW_UNVERIFIED",
            texts.allow_unverified.as_deref(),
            "false",
            boolean,
        )?,
        secrets_dir: texts.secrets_dir.map(PathBuf::from),
        image_env: texts
            .image_env
            .unwrap_or_default()
            .split([' ', ','])
            .map(str::to_owned)
            .collect(),
        mode: setting("MODE", texts.mode.as_deref(), "supervise", str::parse)?,
        signal_scope: setting(
            "SIGNAL_SCOPE",
            texts.signal_scope.as_deref(),
            "child",
            str::parse,
        )?,
        remap_exit: setting(
            "REMAP_EXIT",
            texts.remap_exit.as_deref(),
            "none",
            str::parse,
        )?,
        user: texts
            .user
            .map(|text| AppUser::parse(&text).map_err(|error| malformed("USER", error)))
            .transpose()?,
        change,
        overrides: Overrides {
            on_change: texts.on_change,
            startup_command: texts.startup_command,
            stop_signal: texts.stop_signal,
            drain_period: texts.drain_period,
            grace_period: texts.grace_period,
        },
        log: log(texts.log.as_deref(), texts.log_format.as_deref())?,
    })
}

/// Reads the settings of the log, so that errors of other settings are logged in the right format.
pub(crate) fn log_settings(variables: impl Iterator<Item = (OsString, OsString)>) -> Log {
    texts::read(variables)
        .ok()
        .and_then(|(texts, _)| log(texts.log.as_deref(), texts.log_format.as_deref()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Settings, Failure> {
        let arguments = StartArguments {
            app: Some("hello".into()),
            repository: Some("host".into()),
            command: Vec::new(),
        };
        read(
            &arguments,
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .map(|(settings, _)| settings)
    }

    #[test]
    fn the_argument_wins_and_an_empty_variable_is_unset() {
        let settings =
            read_pairs(&[("BOOTSTRAP_APP", "other"), ("BOOTSTRAP_DEADLINE", "")]).unwrap();
        assert_eq!(settings.app.to_string(), "hello");
        assert_eq!(settings.deadline, Duration::from_mins(5));
    }

    #[test]
    fn errors_name_the_variable_and_never_its_value() {
        for name in [
            "ENVIRONMENT",
            "DEADLINE",
            "WAIT",
            "STALL_TIMEOUT",
            "MAX_DOWNLOAD",
            "MAX_UNPACKED",
            "MAX_ENTRIES",
            "MODE",
            "SIGNAL_SCOPE",
            "REMAP_EXIT",
            "LOG",
            "LOG_FORMAT",
            "MIN_RELEASE",
            "OFFLINE",
            "USER",
            "CHANGE_DEBOUNCE",
            "CHANGE_SPLAY",
        ] {
            let variable = format!("BOOTSTRAP_{name}");
            let failure = read_pairs(&[(&variable, "Hunter2")]).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(
                failure.chain().contains(&variable) && !failure.chain().contains("Hunter2"),
                "{}",
                failure.chain()
            );
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let settings = read_pairs(&[("BOOTSTRAP_TOKEN", "hunter2\n")]).unwrap();
        assert_eq!(
            settings.token.as_ref().map(|token| token.0.as_str()),
            Some("hunter2")
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert!(
            read_pairs(&[("BOOTSTRAP_TOKEN", "hunter 2")])
                .unwrap_err()
                .chain()
                .contains("TOKEN")
        );
    }
}
