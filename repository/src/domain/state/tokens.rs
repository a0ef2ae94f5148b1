//! The state of the tokens: those that were granted and not revoked.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::LogState;
use crate::domain::event::TokenEvent;
use crate::domain::scope::Scope;
use crate::domain::token::{Hash, TokenName};
use crate::storage::entry::Entry;

#[derive(Debug, Clone)]
pub(crate) struct TokenRecord {
    pub(crate) name: TokenName,
    pub(crate) hash: Hash,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) expires: Option<String>,
    pub(crate) created: String,
}

impl TokenRecord {
    /// An unreadable time counts as past.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.as_ref().is_some_and(|expires| {
            humantime::parse_rfc3339(expires).map_or(true, |expires| expires <= now)
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct TokensState {
    position: u64,
    pub(crate) tokens: BTreeMap<TokenName, TokenRecord>,
}

impl LogState for TokensState {
    type Event = TokenEvent;

    fn position(&self) -> u64 {
        self.position
    }

    fn record(&mut self, entry: Entry<TokenEvent>) {
        self.position = entry.number;
        for event in entry.events {
            match event {
                TokenEvent::Grant {
                    token,
                    hash,
                    scopes,
                    expires,
                } => {
                    let record = TokenRecord {
                        name: token.clone(),
                        hash,
                        scopes,
                        expires,
                        created: entry.created.clone(),
                    };
                    self.tokens.insert(token, record);
                }
                TokenEvent::Revoke { token } => {
                    self.tokens.remove(&token);
                }
            }
        }
    }
}

impl TokensState {
    /// Finds the token with this hash. Compares all tokens, so that the duration does not reveal which one matches.
    pub(crate) fn token(&self, hash: &Hash) -> Option<&TokenRecord> {
        let mut found = None;
        for record in self.tokens.values() {
            if record.hash.is(hash) {
                found = Some(record);
            }
        }
        found
    }
}
