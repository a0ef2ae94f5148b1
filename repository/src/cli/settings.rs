//! `REPOSITORY_*` variables.
//!
//! 1. take the pairs with the prefix, all UTF-8 (`envy` panics on others)
//! 2. `envy` fills a struct of texts
//! 3. parse each text here, so that an error names the variable and never shows its value

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use repository_api::signature::TrustedKeys;
use repository_api::units;
use serde::Deserialize;

use crate::http::access::OpenAccess;
use crate::http::receive::BodyLimits;
use crate::http::serve::ServerSettings;
use crate::http::tls::Files;
use crate::storage::Location;
use crate::upkeep::housekeeping::UpkeepSettings;

const PREFIX: &str = "REPOSITORY_";

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) storage: Location,
    /// The directory and maximum bytes of the cache in front of a remote store; `None` for no cache.
    pub(crate) cache: Option<(PathBuf, u64)>,
    pub(crate) server: ServerSettings,
    pub(crate) body_limits: BodyLimits,
    pub(crate) open: OpenAccess,
    /// The file of the admin token, which is created if it does not exist.
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Public keys of minisign, which signed-only channels trust.
    pub(crate) trusted_keys_file: Option<PathBuf>,
    /// Maximum bytes of one app's artefacts, unless its policy sets another quota.
    pub(crate) quota: Option<u64>,
    pub(crate) upkeep: UpkeepSettings,
    pub(crate) log_json: bool,
    pub(crate) log_level: tracing::Level,
}

/// Slack for commits that wait for others, slow stores and differing clocks.
const GC_SLACK: Duration = Duration::from_mins(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{PREFIX}{name} is invalid: {expected}")]
    Malformed {
        name: &'static str,
        expected: String,
    },
    #[error("{PREFIX}{0} is not UTF-8")]
    NotUtf8(String),
    #[error("{PREFIX}{1} is set, but {PREFIX}{0} is not: TLS needs both")]
    Missing(&'static str, &'static str),
    #[error("failed to read the environment")]
    Unreadable,
}

/// Defines `Texts` and the names of its fields, which are those of the known variables.
macro_rules! texts {
    ($($field:ident)*) => {
        /// Strings only, because an error of `envy` would show the value. An empty variable counts as unset, because
        /// `${NAME:-}` in a Compose file yields one.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Texts {
            $($field: String,)*
        }

        const KNOWN: &[&str] = &[$(stringify!($field)),*];
    };
}

texts! {
    listen storage cache cache_size anonymous_writes max_upload quota upload_timeout gc_interval gc_age check_rate
    header_timeout stall_timeout grace_period log log_format admin_token_file open_reads tls_cert tls_key
    trusted_keys_file
}

/// Reads the settings, and warnings for the log once it has started.
pub(crate) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Settings, Vec<String>), SettingsError> {
    let mut pairs = Vec::new();
    let mut warnings = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let known = name
            .strip_prefix(PREFIX)
            .is_some_and(|name| KNOWN.iter().any(|known| known.to_ascii_uppercase() == name));
        match (known, value.into_string()) {
            (true, Ok(value)) => pairs.push((name.to_owned(), value)),
            (true, Err(_)) => return Err(SettingsError::NotUtf8(name[PREFIX.len()..].to_owned())),
            (false, _) => warnings.push(format!(
                "{name} is not a setting of the repository and is ignored"
            )),
        }
    }
    let texts: Texts = envy::prefixed(PREFIX)
        .from_iter(pairs)
        .map_err(|_| SettingsError::Unreadable)?;
    let settings = texts.parse()?;
    if settings.open.writes {
        warnings.push(
            "REPOSITORY_ANONYMOUS_WRITES=true: anyone who can reach this address may publish"
                .to_owned(),
        );
    }
    Ok((settings, warnings))
}

impl Texts {
    fn parse(self) -> Result<Settings, SettingsError> {
        let tls = match (self.tls_cert.as_str(), self.tls_key.as_str()) {
            ("", "") => None,
            (_, "") => return Err(SettingsError::Missing("TLS_KEY", "TLS_CERT")),
            ("", _) => return Err(SettingsError::Missing("TLS_CERT", "TLS_KEY")),
            (certificate, key) => Some(Files {
                certificate: certificate.into(),
                key: key.into(),
            }),
        };
        let upload_timeout = setting("UPLOAD_TIMEOUT", &self.upload_timeout, "24h", timeout)?;
        let stall_timeout = setting("STALL_TIMEOUT", &self.stall_timeout, "30s", timeout)?;
        let listen: SocketAddr = setting("LISTEN", &self.listen, "127.0.0.1:8080", |text| {
            text.parse()
                .map_err(|_| "expected an address and a port, such as 0.0.0.0:80")
        })?;
        let storage = setting(
            "STORAGE",
            &self.storage,
            "file:///var/lib/repository",
            storage,
        )?;
        let cache = setting("CACHE", &self.cache, "/var/cache/repository", |text| {
            let path = PathBuf::from(text);
            if path.is_absolute() {
                Ok(path)
            } else {
                Err("expected an absolute path")
            }
        })?;
        let cache_size = setting("CACHE_SIZE", &self.cache_size, "10GiB", units::size)?;
        let is_remote = matches!(storage, Location::Bucket { .. });
        Ok(Settings {
            storage,
            cache: (is_remote && cache_size > 0).then_some((cache, cache_size)),
            server: ServerSettings {
                listen,
                tls,
                header_timeout: setting("HEADER_TIMEOUT", &self.header_timeout, "10s", timeout)?,
                stall_timeout,
                grace_period: setting("GRACE_PERIOD", &self.grace_period, "8s", units::duration)?,
            },
            body_limits: BodyLimits {
                max_upload: setting("MAX_UPLOAD", &self.max_upload, "16GiB", units::size)?,
                upload_timeout,
                stall_timeout,
            },
            open: OpenAccess {
                reads: setting("OPEN_READS", &self.open_reads, "false", boolean)?,
                writes: setting("ANONYMOUS_WRITES", &self.anonymous_writes, "false", boolean)?,
                is_loopback: listen.ip().is_loopback(),
            },
            admin_token_file: (!self.admin_token_file.is_empty())
                .then(|| PathBuf::from(&self.admin_token_file)),
            trusted_keys_file: trusted_keys_file(&self.trusted_keys_file)?,
            quota: setting("QUOTA", &self.quota, "none", |text| match text {
                "none" => Ok(None),
                text => units::size(text).map(Some),
            })?,
            upkeep: UpkeepSettings {
                gc_interval: setting("GC_INTERVAL", &self.gc_interval, "1h", units::duration)?,
                gc_age: setting("GC_AGE", &self.gc_age, "", |text| {
                    if text.is_empty() {
                        return Ok(2 * upload_timeout + GC_SLACK);
                    }
                    match units::duration(text) {
                        Ok(age) if age >= 2 * upload_timeout => Ok(age),
                        _ => Err("expected a duration of twice REPOSITORY_UPLOAD_TIMEOUT or more"),
                    }
                })?,
                check_rate: setting("CHECK_RATE", &self.check_rate, "4MiB", units::size)?,
            },
            log_json: setting("LOG_FORMAT", &self.log_format, "text", |text| match text {
                "text" => Ok(false),
                "json" => Ok(true),
                _ => Err("expected text or json"),
            })?,
            log_level: setting("LOG", &self.log, "info", |text| {
                text.parse()
                    .map_err(|_| "expected error, warn, info, debug or trace")
            })?,
        })
    }
}

fn setting<T, E: ToString>(
    name: &'static str,
    text: &str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, SettingsError> {
    let text = if text.is_empty() { default } else { text };
    parse(text).map_err(|error| SettingsError::Malformed {
        name,
        expected: error.to_string(),
    })
}

/// Checks that the file contains keys now. The server reads it again for each promotion.
fn trusted_keys_file(text: &str) -> Result<Option<PathBuf>, SettingsError> {
    if text.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(text);
    let malformed = |expected| SettingsError::Malformed {
        name: "TRUSTED_KEYS_FILE",
        expected,
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        malformed(format!(
            "expected a file of minisign's public keys: {error}"
        ))
    })?;
    TrustedKeys::parse(&text).map_err(|reason| malformed(format!("it names a file {reason}")))?;
    Ok(Some(path))
}

/// A time-out above zero: zero would refuse every request.
fn timeout(text: &str) -> Result<Duration, &'static str> {
    match units::duration(text) {
        Ok(Duration::ZERO) | Err(_) => Err("expected a duration above zero, such as 500ms or 15s"),
        Ok(duration) => Ok(duration),
    }
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false"),
    }
}

fn storage(text: &str) -> Result<Location, &'static str> {
    const EXPECTED: &str = "expected file:// and an absolute path, such as file:///var/lib/repository, or s3://BUCKET/PREFIX";
    if let Some(path) = text.strip_prefix("file://") {
        return if path.starts_with('/') {
            Ok(Location::Directory(path.into()))
        } else {
            Err(EXPECTED)
        };
    }
    let rest = text.strip_prefix("s3://").ok_or(EXPECTED)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
    };
    if bucket.is_empty() || !is_plain(bucket) || !is_plain(prefix) || prefix.contains("//") {
        return Err(EXPECTED);
    }
    Ok(Location::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<(Settings, Vec<String>), SettingsError> {
        read(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn defaults_and_warnings() {
        let (settings, warnings) = read_pairs(&[
            ("REPOSITORY_PORT", "tcp://10.0.0.1:80"),
            ("REPOSITORY_LOG", ""),
        ])
        .unwrap();
        assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            warnings,
            ["REPOSITORY_PORT is not a setting of the repository and is ignored"]
        );
    }

    #[test]
    fn anonymous_writes_cause_a_warning() {
        let open = [
            ("REPOSITORY_ANONYMOUS_WRITES", "true"),
            ("REPOSITORY_LISTEN", "0.0.0.0:80"),
        ];
        assert_eq!(read_pairs(&open).unwrap().1.len(), 1);
    }

    #[test]
    fn errors_name_the_variable_and_never_its_value() {
        for name in [
            "LISTEN",
            "STORAGE",
            "MAX_UPLOAD",
            "HEADER_TIMEOUT",
            "LOG",
            "LOG_FORMAT",
            "ANONYMOUS_WRITES",
            "TLS_KEY",
        ] {
            let variable = format!("{PREFIX}{name}");
            let error = read_pairs(&[(&variable, "hunter2")])
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&variable) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
