//! Which command the words name, and which options mean something to it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use repository_api::AppReference;

use super::Options;
use crate::commands::config::Action;
use crate::deploy::{DEFAULT_TIMEOUT, Strategy};
use crate::environment::Kind;

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Up(Kind),
    Down,
    Clean {
        sure: bool,
    },
    Status,
    Publish {
        app: String,
        path: PathBuf,
        version: String,
        config: Option<PathBuf>,
    },
    Deploy {
        reference: AppReference,
        strategy: Option<Strategy>,
        patience: Duration,
        again: bool,
    },
    Rollback {
        app: String,
        strategy: Option<Strategy>,
        patience: Duration,
    },
    Releases(String),
    Scale {
        what: String,
        patience: Duration,
    },
    Logs {
        app: String,
        follow: bool,
        tail: String,
    },
    Run {
        app: String,
        command: Vec<String>,
    },
    Config {
        app: String,
        layer: Option<String>,
        action: Action,
    },
    SecretList(String),
    SecretRemove {
        app: String,
        name: String,
    },
    SecretSet {
        app: String,
        name: String,
    },
    DomainAdd {
        app: String,
        domain: String,
        certificates: Option<PathBuf>,
    },
    DomainList,
    DomainRemove(String),
    Console {
        port: u16,
    },
    Doctor,
    Images,
    Pack {
        app: String,
        directory: PathBuf,
    },
    Demo,
    Bench,
}

/// The options that a command knows, and the command.
type Found = Option<(&'static [&'static str], Command)>;

pub(super) fn read(words: &[String], options: &Options) -> anyhow::Result<Command> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((known, command)) = about_a_platform(&words, options)?
        .or(about_running(&words, options)?)
        .or(about_an_app(&words, options)?)
        .or_else(|| about_sources(&words))
    else {
        bail!(
            "platformer {} is no command, or has not what it needs: see platformer --help",
            words.join(" ")
        );
    };
    if options.shell.dry_run && about_sources(&words).is_some() {
        bail!(
            "--dry-run means nothing to platformer {}: it drives no engine",
            words[0]
        );
    }
    if let Some(name) = options.given.iter().find(|name| !known.contains(name)) {
        bail!(
            "--{name} means nothing to platformer {}: see platformer --help",
            words[0]
        );
    }
    Ok(command)
}

fn about_a_platform(words: &[&str], options: &Options) -> anyhow::Result<Found> {
    Ok(Some(match words {
        [] | ["help"] => (&[], Command::Help),
        ["up"] => (
            &[],
            Command::Up(options.environment.unwrap_or(Kind::Training)),
        ),
        ["up", kind] => (&[], Command::Up(kind.parse()?)),
        ["down"] | ["down", _] => (&[], Command::Down),
        ["clean"] | ["clean", _] => (&["yes"], Command::Clean { sure: options.sure }),
        ["status"] => (&[], Command::Status),
        ["console"] => (
            &["port"],
            Command::Console {
                port: options.port.unwrap_or(8081),
            },
        ),
        ["domain", "list"] => (&[], Command::DomainList),
        ["domain", "remove", domain] => (&[], Command::DomainRemove((*domain).to_owned())),
        _ => return Ok(None),
    }))
}

/// What changes what runs of an app.
fn about_running(words: &[&str], options: &Options) -> anyhow::Result<Found> {
    let patience = options.patience.unwrap_or(DEFAULT_TIMEOUT);
    let strategy = options.strategy;
    Ok(Some(match words {
        ["deploy", reference] => (
            &["strategy", "timeout", "again"],
            Command::Deploy {
                reference: reference.parse()?,
                strategy,
                patience,
                again: options.again,
            },
        ),
        ["rollback", app] => (
            &["strategy", "timeout"],
            Command::Rollback {
                app: (*app).to_owned(),
                strategy,
                patience,
            },
        ),
        ["scale", what] => (
            &["timeout"],
            Command::Scale {
                what: (*what).to_owned(),
                patience,
            },
        ),
        ["run", app, command @ ..] => (
            &[],
            Command::Run {
                app: (*app).to_owned(),
                command: command.iter().map(|word| (*word).to_owned()).collect(),
            },
        ),
        _ => return Ok(None),
    }))
}

fn about_an_app(words: &[&str], options: &Options) -> anyhow::Result<Found> {
    Ok(Some(match words {
        ["publish", app, path, version] => (
            &["config"],
            Command::Publish {
                app: (*app).to_owned(),
                path: path.into(),
                version: (*version).to_owned(),
                config: options.config.clone(),
            },
        ),
        ["releases", app] => (&[], Command::Releases((*app).to_owned())),
        ["logs", app] => (
            &["follow", "tail"],
            Command::Logs {
                app: (*app).to_owned(),
                follow: options.follow,
                tail: options.tail.clone().unwrap_or_else(|| "100".to_owned()),
            },
        ),
        ["config", action, app, rest @ ..] => {
            let Some(action) = config_action(action, rest) else {
                return Ok(None);
            };
            (
                &["layer"],
                Command::Config {
                    app: (*app).to_owned(),
                    layer: options.layer.clone(),
                    action,
                },
            )
        }
        ["secret", "list", app] => (&[], Command::SecretList((*app).to_owned())),
        ["secret", "remove", app, name] => (
            &[],
            Command::SecretRemove {
                app: (*app).to_owned(),
                name: (*name).to_owned(),
            },
        ),
        ["secret", "set", app, name] => (
            &[],
            Command::SecretSet {
                app: (*app).to_owned(),
                name: (*name).to_owned(),
            },
        ),
        ["domain", "add", app, domain] => (
            &["certificates"],
            Command::DomainAdd {
                app: (*app).to_owned(),
                domain: (*domain).to_owned(),
                certificates: options.certificates.clone(),
            },
        ),
        _ => return Ok(None),
    }))
}

fn about_sources(words: &[&str]) -> Found {
    let command = match words {
        ["doctor"] => Command::Doctor,
        ["images"] => Command::Images,
        ["pack", app] => Command::Pack {
            app: (*app).to_owned(),
            directory: ".".into(),
        },
        ["pack", app, directory] => Command::Pack {
            app: (*app).to_owned(),
            directory: directory.into(),
        },
        ["demo"] => Command::Demo,
        ["bench"] => Command::Bench,
        _ => return None,
    };
    Some((&[], command))
}

fn config_action(action: &str, rest: &[&str]) -> Option<Action> {
    Some(match (action, rest) {
        ("get", []) => Action::Get,
        ("diff", []) => Action::Diff,
        ("edit", []) => Action::Edit,
        ("put", [file]) => Action::Put(file.into()),
        ("set", assignments) => {
            Action::Set(assignments.iter().map(|word| (*word).to_owned()).collect())
        }
        _ => return None,
    })
}
