//! Commands that work on the store and end: `check`, `gc`, `export`, `import`, `token`. A server may be running
//! beside them.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use repository_api::units::show_size;

use crate::Repository;
use crate::cli::arguments::TokenCommand;
use crate::cli::logging;
use crate::cli::output::{Progress, say};
use crate::cli::settings;
use crate::domain::catalogue::{AppState, Decision, Event, TokenRecord};
use crate::domain::timestamp;
use crate::domain::token::{self, Hash};
use crate::http::failure::Failure;
use crate::storage::Storage;
use crate::transfer::export;
use crate::transfer::import;
use crate::upkeep::check::{self, Finding, Report};
use crate::upkeep::gc;

/// The store, as the settings say; made if it `may_be_new`.
fn open(may_be_new: bool) -> Result<Arc<Repository>, Box<dyn Error>> {
    let (settings, warnings) = settings::read(std::env::vars_os())?;
    logging::start(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let storage = Storage::open_beside(&settings.storage, may_be_new)?;
    Ok(Repository::new(settings, storage, None))
}

/// Findings go to standard output, a line each.
struct Lines;

impl Report for Lines {
    fn found(&mut self, Finding { subject, problem }: Finding) {
        say(&format!("{subject}: {problem}"));
    }

    async fn read(&mut self, _: u64) {}
}

#[derive(Debug, thiserror::Error)]
#[error("{0} of what was looked at is damaged or missing")]
struct Damaged(u64);

/// Reads everything; fails if anything is not as it was written.
pub(crate) async fn check() -> Result<(), Box<dyn Error>> {
    let repository = open(false)?;
    let (checked, named) = check::everything(&repository.storage, &mut Lines).await?;
    let unnamed = check::unnamed(&repository.storage, &named).await?;
    say(&format!(
        "looked at {} entries and {} artefacts in {}, {}; {unnamed} blobs that no log names (gc removes old ones)",
        checked.entries,
        checked.artefacts,
        repository.storage.location(),
        show_size(checked.bytes)
    ));
    if checked.findings == 0 {
        Ok(())
    } else {
        Err(Damaged(checked.findings).into())
    }
}

/// Says what would go, and deletes it if told to.
pub(crate) async fn gc(deletes: bool) -> Result<(), Box<dyn Error>> {
    let repository = open(false)?;
    let garbage = gc::look(&repository).await?;
    if deletes {
        gc::delete(&repository, garbage, |line| say(&line))
            .await
            .map_err(|failure| failure.detail)?;
        return Ok(());
    }
    for (app, version) in &garbage.versions {
        say(&format!("would purge {app} {version}"));
    }
    for (id, size) in &garbage.blobs {
        say(&format!("would delete blob {id}, {}", show_size(*size)));
    }
    say(&format!(
        "{} versions that their policy lets go, {} blobs that no log names, {} leftovers of what was cut off; nothing was deleted: that takes repository gc --delete",
        garbage.versions.len(),
        garbage.blobs.len(),
        garbage.leftovers
    ));
    Ok(())
}

/// Writes everything into a tree.
pub(crate) async fn export(target: PathBuf) -> Result<(), Box<dyn Error>> {
    let repository = open(false)?;
    export::export(&repository, &target, &mut Progress::new()).await?;
    Ok(())
}

/// Takes over what a tree holds.
pub(crate) async fn import(source: PathBuf) -> Result<(), Box<dyn Error>> {
    let repository = open(true)?;
    import::import(&repository, &source, &mut Progress::new()).await?;
    Ok(())
}

/// Who made or revoked a token: whoever may run this on the store may do anything.
const COMMAND: &str = "repository token";

pub(crate) async fn token(command: TokenCommand) -> Result<(), Box<dyn Error>> {
    let repository = open(matches!(command, TokenCommand::Create { .. }))?;
    let tokens = repository.catalogue.tokens(Duration::ZERO).await?;
    match command {
        TokenCommand::List => {
            for line in tokens.read(list) {
                say(&line);
            }
            Ok(())
        }
        TokenCommand::Create {
            name,
            scopes,
            expires,
        } => {
            let token = token::make()?;
            let event = Event::Grant {
                token: name.clone(),
                hash: Hash::of(&token),
                scopes,
                expires: expires.map(timestamp::after),
            };
            let made = tokens.commit(&repository.storage, COMMAND, |state| {
                if state.tokens.contains_key(&name) {
                    return Err(Failure::conflict(format!(
                        "there is a token {name} already: revoke it first, or take another name"
                    )));
                }
                Ok(Decision::Append(vec![event.clone()], ()))
            });
            made.await.map_err(|failure| failure.detail)?;
            let shown = writeln!(std::io::stdout(), "{token}");
            shown.map_err(|error| {
                format!("the token {name} was made, and could not be shown ({error}): revoke it with repository token revoke {name}").into()
            })
        }
        TokenCommand::Revoke(name) => {
            let revoked = tokens.commit(&repository.storage, COMMAND, |state| {
                if !state.tokens.contains_key(&name) {
                    return Err(Failure::not_found(format!(
                        "there is no token {name}: repository token list shows those there are"
                    )));
                }
                let event = Event::Revoke {
                    token: name.clone(),
                };
                Ok(Decision::Append(vec![event], ()))
            });
            revoked.await.map_err(|failure| failure.detail)?;
            say(&format!(
                "{name} is revoked, at every server within a second or two"
            ));
            Ok(())
        }
    }
}

fn list(state: &AppState) -> Vec<String> {
    let now = SystemTime::now();
    let line = |record: &TokenRecord| {
        let scopes: Vec<String> = record.scopes.iter().map(ToString::to_string).collect();
        let end = match &record.expires {
            None => "does not expire".to_owned(),
            Some(expires) if record.is_expired(now) => format!("expired {expires}"),
            Some(expires) => format!("expires {expires}"),
        };
        let (name, created) = (&record.name, &record.created);
        format!("{name}  {}  made {created}, {end}", scopes.join(" "))
    };
    state.tokens.values().map(line).collect()
}
