//! Parses the command line.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use repository_api::units;

use crate::domain::scope::Scope;
use crate::domain::token::TokenName;

#[derive(Debug)]
pub(crate) enum Command {
    Serve,
    Healthcheck,
    Check,
    Gc { deletes: bool },
    Export(PathBuf),
    Import(PathBuf),
    Token(TokenCommand),
    Help(String),
}

#[derive(Debug)]
pub(crate) enum TokenCommand {
    Create {
        name: TokenName,
        scopes: Vec<Scope>,
        expires: Option<Duration>,
    },
    List,
    Revoke(TokenName),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("unknown argument {0:?}: see repository --help")]
    Unknown(OsString),
    #[error("{0}: see repository --help")]
    Invalid(String),
}

const HELP: &str = "\
repository keeps versioned, immutable artefacts and layered config, and serves them over HTTP.

Usage: repository [serve]        serve until SIGTERM
       repository healthcheck    exit with 0 if the server on this machine is ready, with 1 otherwise
       repository check          read the whole store and report damage; exit with 1 if there is any
       repository gc             list expired versions and unreferenced blobs
       repository gc --delete    delete them
       repository export DIR     write everything into a tree that any static server can serve
       repository import DIR     import such a tree, or an nginx docroot with files/APP/APP.tgz
       repository token create NAME SCOPE... [--expires 90d]
                                 create a token and print it once; scopes: admin, read:APP, publish:APP,
                                 config:APP, release:APP/CHANNEL, with * for any
       repository token list     list names, scopes and expiry
       repository token revoke NAME
       repository --help | --version

Publish:
  curl --fail-with-body -T hello-1.0.0.tar.gz http://localhost:8080/artefacts/hello/1.0.0/
  curl --fail-with-body -T hello.config       http://localhost:8080/config/hello/
Release:
  curl --fail-with-body -X PUT -d 1.0.0       http://localhost:8080/channels/hello/stable

Settings are environment variables (durations: 500ms, 15s, 5m; sizes: 512KiB, 2GiB):
  REPOSITORY_LISTEN            address and port              [127.0.0.1:8080]
  REPOSITORY_STORAGE           file:// and a directory, or s3://BUCKET/PREFIX with the usual AWS_ variables
                               [file:///var/lib/repository]
  REPOSITORY_CACHE             with S3, the directory for cached artefacts  [/var/cache/repository]
  REPOSITORY_CACHE_SIZE        maximum size of the cache; 0 for no cache  [10GiB]
  REPOSITORY_TLS_CERT          for https: a file with the certificate and its chain in PEM,
  REPOSITORY_TLS_KEY           and a file with its key; loaded again when they change  [none: plain HTTP]
  REPOSITORY_ADMIN_TOKEN_FILE  the file of the admin token; created if it does not exist  [none]
  REPOSITORY_TRUSTED_KEYS_FILE minisign public keys that signed-only channels trust  [none]
  REPOSITORY_OPEN_READS        true: reads need no token     [false]
  REPOSITORY_ANONYMOUS_WRITES  true: writes need no token
                               [false; on loopback, writes are open until a token exists]
  REPOSITORY_MAX_UPLOAD        maximum size of an artefact   [16GiB]
  REPOSITORY_QUOTA             maximum size of an app, unless PUT /retention/APP sets another  [none]
  REPOSITORY_UPLOAD_TIMEOUT    time-out of an upload         [24h]
  REPOSITORY_GC_INTERVAL       how often gc deletes garbage; 0s for never  [1h]
  REPOSITORY_GC_AGE            minimum age at which gc deletes an unreferenced blob
                               [twice REPOSITORY_UPLOAD_TIMEOUT and 10m]
  REPOSITORY_CHECK_RATE        bytes per second that the check for damage reads; 0 for no check  [4MiB]
  REPOSITORY_HEADER_TIMEOUT    time-out of a request's head  [10s]
  REPOSITORY_STALL_TIMEOUT     time-out of a stalled body    [30s]
  REPOSITORY_GRACE_PERIOD      how long open requests may run on when the server stops  [8s]
  REPOSITORY_LOG               error, warn, info, debug, trace  [info]
  REPOSITORY_LOG_FORMAT        text, json                    [text]
";

pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut arguments = arguments.skip(1);
    let command = match arguments.next() {
        None => Command::Serve,
        Some(word) => match word.to_str() {
            Some("serve") => Command::Serve,
            Some("healthcheck") => Command::Healthcheck,
            Some("check") => Command::Check,
            Some(name @ ("export" | "import")) => {
                let directory = arguments.next().map(PathBuf::from).ok_or_else(|| {
                    UsageError::Invalid(format!("repository {name} needs a directory"))
                })?;
                if name == "export" {
                    Command::Export(directory)
                } else {
                    Command::Import(directory)
                }
            }
            Some("gc") => {
                return match (arguments.next(), arguments.next()) {
                    (None, _) => Ok(Command::Gc { deletes: false }),
                    (Some(option), None) if option == "--delete" => {
                        Ok(Command::Gc { deletes: true })
                    }
                    (Some(extra), _) => Err(UsageError::Unknown(extra)),
                };
            }
            Some("token") => return token(arguments).map(Command::Token),
            Some("--help" | "-h" | "help") => Command::Help(HELP.to_owned()),
            Some("--version" | "-V") => {
                Command::Help(format!("repository {}\n", env!("CARGO_PKG_VERSION")))
            }
            _ => return Err(UsageError::Unknown(word)),
        },
    };
    match arguments.next() {
        None => Ok(command),
        Some(extra) => Err(UsageError::Unknown(extra)),
    }
}

/// A hundred years. RFC 3339 has no years of five digits.
const MAX_DAYS: u64 = 100 * 366;

/// Parses days, such as `90d`, or any other duration.
fn lifetime(text: &str) -> Result<Duration, UsageError> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u64>().ok());
    match days {
        Some(days) if days <= MAX_DAYS => Ok(Duration::from_hours(24 * days)),
        Some(_) => Err(UsageError::Invalid(format!(
            "--expires: expected at most {MAX_DAYS}d"
        ))),
        None => units::duration(text).map_err(|error| {
            UsageError::Invalid(format!("--expires: {error}, or days, such as 90d"))
        }),
    }
}

fn token(arguments: impl Iterator<Item = OsString>) -> Result<TokenCommand, UsageError> {
    let invalid = |what: &dyn ToString| UsageError::Invalid(what.to_string());
    let mut words = Vec::new();
    for argument in arguments {
        words.push(argument.into_string().map_err(UsageError::Unknown)?);
    }
    let mut words = words.iter().map(String::as_str);
    match words.next() {
        Some("list") => match words.next() {
            None => Ok(TokenCommand::List),
            Some(extra) => Err(UsageError::Unknown(extra.into())),
        },
        Some("revoke") => match (words.next(), words.next()) {
            (Some(name), None) => name
                .parse()
                .map(TokenCommand::Revoke)
                .map_err(|error| invalid(&error)),
            _ => Err(invalid(
                &"repository token revoke needs the name of one token",
            )),
        },
        Some("create") => {
            let name = words.next().unwrap_or_default();
            let name = name.parse().map_err(|error| invalid(&error))?;
            let (mut scopes, mut expires) = (Vec::new(), None);
            while let Some(word) = words.next() {
                if word == "--expires" {
                    expires = Some(lifetime(words.next().unwrap_or_default())?);
                } else {
                    scopes.push(word.parse().map_err(|error| invalid(&error))?);
                }
            }
            if scopes.is_empty() {
                return Err(invalid(
                    &"repository token create needs a scope, such as publish:hello or admin",
                ));
            }
            Ok(TokenCommand::Create {
                name,
                scopes,
                expires,
            })
        }
        _ => Err(invalid(&"repository token takes create, list or revoke")),
    }
}

/// Prints to standard output; fails if the reader is gone.
pub(crate) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
