//! `repository token`: creates, lists and revokes tokens.

use std::error::Error as StdError;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use super::arguments::TokenCommand;
use super::output::print_line;
use crate::domain::catalogue::{Catalogue, Decision};
use crate::domain::error::Error;
use crate::domain::event::TokenEvent;
use crate::domain::state::tokens::{TokenRecord, TokensState};
use crate::domain::timestamp;
use crate::domain::token::{self, Hash};

/// The author of grants and revocations. The command needs no token, because it has access to the whole store.
const AUTHOR: &str = "repository token";

pub(super) async fn run(command: TokenCommand) -> Result<(), Box<dyn StdError>> {
    let create_if_missing = matches!(command, TokenCommand::Create { .. });
    let (_, storage) = super::open(create_if_missing)?;
    let catalogue = Catalogue::new(storage);
    let tokens = catalogue.tokens(Duration::ZERO).await?;
    match command {
        TokenCommand::List => {
            for line in tokens.read(list) {
                print_line(&line);
            }
            Ok(())
        }
        TokenCommand::Create {
            name,
            scopes,
            expires,
        } => {
            let token = token::make()?;
            let event = TokenEvent::Grant {
                token: name.clone(),
                hash: Hash::of(&token),
                scopes,
                expires: expires.map(timestamp::after),
            };
            tokens
                .commit(AUTHOR, |state| {
                    if state.tokens.contains_key(&name) {
                        return Err(Error::TokenExists(name.clone()));
                    }
                    Ok(Decision::Append(vec![event.clone()], ()))
                })
                .await?;
            let shown = writeln!(std::io::stdout(), "{token}");
            shown.map_err(|error| {
                format!("created token {name}, but failed to print it ({error}): revoke it with repository token revoke {name}").into()
            })
        }
        TokenCommand::Revoke(name) => {
            tokens
                .commit(AUTHOR, |state| {
                    if !state.tokens.contains_key(&name) {
                        return Err(Error::UnknownToken(name.clone()));
                    }
                    let event = TokenEvent::Revoke {
                        token: name.clone(),
                    };
                    Ok(Decision::Append(vec![event], ()))
                })
                .await?;
            print_line(&format!(
                "{name} is revoked, on every server within a second or two"
            ));
            Ok(())
        }
    }
}

fn list(state: &TokensState) -> Vec<String> {
    let now = SystemTime::now();
    let line = |record: &TokenRecord| {
        let scopes: Vec<String> = record.scopes.iter().map(ToString::to_string).collect();
        let expiry = match &record.expires {
            None => "does not expire".to_owned(),
            Some(expires) if record.is_expired(now) => format!("expired {expires}"),
            Some(expires) => format!("expires {expires}"),
        };
        let (name, created) = (&record.name, &record.created);
        format!("{name}  {}  created {created}, {expiry}", scopes.join(" "))
    };
    state.tokens.values().map(line).collect()
}
