//! Parses texts into values. Errors name the variable, and never its value.

use std::path::Path;

use repository_api::units;

use super::groups::{Change, Limits, Token, Trust};
use super::texts::{PREFIX, Texts, malformed};
use crate::exit::{Exit, Failure};
use crate::logging::Log;
use crate::signature;

pub(super) fn trust(keys: Option<String>, min_release: Option<&str>) -> Result<Trust, Failure> {
    Ok(Trust {
        keys: keys
            .map(|path| signature::read(Path::new(&path)))
            .transpose()?,
        min_release: min_release
            .map(|text| {
                text.strip_prefix('r')
                    .unwrap_or(text)
                    .parse()
                    .map_err(|_| malformed("MIN_RELEASE", "expected a release, such as r42"))
            })
            .transpose()?,
    })
}

pub(super) fn limits(texts: &Texts) -> Result<Limits, Failure> {
    Ok(Limits {
        download: setting(
            "MAX_DOWNLOAD",
            texts.max_download.as_deref(),
            "2GiB",
            units::size,
        )?,
        unpacked: setting(
            "MAX_UNPACKED",
            texts.max_unpacked.as_deref(),
            "8GiB",
            units::size,
        )?,
        entries: setting(
            "MAX_ENTRIES",
            texts.max_entries.as_deref(),
            "200000",
            |text| text.parse().map_err(|_| "expected a number"),
        )?,
    })
}

pub(super) fn log(level: Option<&str>, format: Option<&str>) -> Result<Log, Failure> {
    Ok(Log {
        json: setting("LOG_FORMAT", format, "text", |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("expected text or json"),
        })?,
        level: setting("LOG", level, "info", |text| {
            text.parse()
                .map_err(|_| "expected error, warn, info, debug or trace")
        })?,
    })
}

pub(super) fn token(file: Option<String>, token: Option<String>) -> Result<Option<Token>, Failure> {
    let token = match file {
        None => token,
        // The message leaves out the path, because people can mistake the variable for the token's.
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("failed to read the file that {PREFIX}TOKEN_FILE names"),
            )
            .because(error)
        })?),
    };
    let Some(token) = token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
    else {
        return Ok(None);
    };
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(Token(token)));
    }
    Err(Failure::new(
        Exit::Usage,
        format!("{PREFIX}TOKEN or its file is invalid: expected printable ASCII without blanks"),
    ))
}

pub(super) fn change(texts: &Texts) -> Result<Change, Failure> {
    let period = |name, text: &Option<String>, default| {
        setting(name, text.as_deref(), default, units::duration)
    };
    Ok(Change {
        debounce: period("CHANGE_DEBOUNCE", &texts.change_debounce, "2s")?,
        splay: period("CHANGE_SPLAY", &texts.change_splay, "10s")?,
    })
}

pub(super) fn permission(text: &str) -> Result<bool, &'static str> {
    match text {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err("expected allow or deny"),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false"),
    }
}

pub(super) fn setting<T, E: std::fmt::Display>(
    name: &str,
    text: Option<&str>,
    default: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    parse(text.unwrap_or(default)).map_err(|error| malformed(name, error))
}

pub(super) fn optional<T>(
    name: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<T, ()>,
) -> Result<Option<T>, Failure> {
    text.map(|text| {
        parse(&text).map_err(|()| malformed(name, "expected a name such as production"))
    })
    .transpose()
}
