//! `BOOTSTRAP_*` variables, and the arguments over them.
//!
//! 1. keep the pairs that bear the prefix; those known must be UTF-8 (`envy` panics on others)
//! 2. `envy` fills a struct of texts
//! 3. each text is parsed here, so that an error names the variable and never shows its value

mod origin;
mod texts;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use repository_api::signature::TrustedKeys;
use repository_api::{AppReference, EnvironmentName, units};

use crate::arguments::StartArguments;
use crate::exit::{Exit, Failure};
use crate::init::{RemapExit, SignalScope};
use crate::logging::Log;
use crate::user::AppUser;
pub(crate) use origin::Origin;
use texts::Texts;
use values::{change, limits, log, malformed, optional, permission, setting, token, trust, truth};

const PREFIX: &str = "BOOTSTRAP_";

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
    /// Start a known release while the repository is away.
    pub(crate) offline: bool,
    pub(crate) allow_unverified: bool,
    /// `None` where nobody asked for one: then a missing directory is no error.
    pub(crate) secrets_dir: Option<PathBuf>,
    /// Names of variables that the image sets, and that lose to the config.
    pub(crate) image_env: Vec<String>,
    pub(crate) mode: Mode,
    pub(crate) signal_scope: SignalScope,
    pub(crate) remap_exit: RemapExit,
    /// Whom the app runs as, where that is not who bootstrap runs as.
    pub(crate) user: Option<AppUser>,
    pub(crate) change: Change,
    pub(crate) overrides: Overrides,
    pub(crate) log: Log,
}

/// How a change is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// For so long nothing more must change.
    pub(crate) debounce: Duration,
    /// Over so long all that run the app spread what they do about it.
    pub(crate) splay: Duration,
}

/// Which releases are taken.
#[derive(Debug)]
pub(crate) struct Trust {
    /// With keys, only what one of them signed.
    pub(crate) keys: Option<TrustedKeys>,
    /// No release of a lower number.
    pub(crate) min_release: Option<u64>,
}

impl Trust {
    /// The exit code for what is not what the release says: with keys, it is not what was signed.
    pub(crate) fn exit_for(&self, unsigned: Exit) -> Exit {
        if self.keys.is_some() {
            Exit::NotAllowed
        } else {
            unsigned
        }
    }
}

/// Bytes and entries that an artefact may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) download: u64,
    pub(crate) unpacked: u64,
    pub(crate) entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Stay as the init.
    Supervise,
    /// Become the app.
    Exec,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "supervise" => Ok(Self::Supervise),
            "exec" => Ok(Self::Exec),
            _ => Err("expected supervise or exec"),
        }
    }
}

/// Variables that take the place of config keys.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) startup_command: Option<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) drain_period: Option<String>,
    pub(crate) grace_period: Option<String>,
    pub(crate) on_change: Option<String>,
}

/// A token; never shown.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Reads the settings, and what deserves a warning once the log has started.
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
            "no app is named: write it as the first argument, or set BOOTSTRAP_APP",
        )
    })?;
    let app = app
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format!("{error}")))?;
    let repository = arguments.repository.clone().or(texts.repository).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "no repository is named: write it as the second argument, or set BOOTSTRAP_REPOSITORY",
        )
    })?;
    let origin = repository.parse().map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("the repository's address is not usable: {error}"),
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
        wait: setting("WAIT", texts.wait.as_deref(), "false", truth)?,
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
            truth,
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

/// How to log: read before all else, so that errors of the other settings appear as they should.
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
            let variable = format!("{PREFIX}{name}");
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
