//! The identity of a request's user, and their permissions.

use std::borrow::Cow;

use http::Extensions;

use crate::domain::scope::{Need, Scope};
use crate::domain::token::{ADMIN, ANONYMOUS};

#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: Cow<'static, str>,
    pub(super) rights: Rights,
}

#[derive(Debug, Clone)]
pub(super) enum Rights {
    /// The scopes of the token, and whether reads need no scope.
    Scopes(Vec<Scope>, bool),
    Reads,
    Everything,
}

impl Identity {
    /// The user name of an authorized request.
    pub(crate) fn name_of(extensions: &Extensions) -> String {
        extensions.get::<Self>().map_or_else(
            || ANONYMOUS.to_owned(),
            |identity| identity.name.to_string(),
        )
    }

    pub(super) fn anonymous(rights: Rights) -> Self {
        Self {
            name: Cow::Borrowed(ANONYMOUS),
            rights,
        }
    }

    pub(super) fn admin() -> Self {
        Self {
            name: Cow::Borrowed(ADMIN),
            rights: Rights::Everything,
        }
    }

    pub(crate) fn may(&self, need: &Need) -> bool {
        let is_read = matches!(need, Need::Valid | Need::Read(_) | Need::ReadDefault);
        match &self.rights {
            Rights::Everything => true,
            Rights::Reads => is_read,
            Rights::Scopes(scopes, reads_are_open) => {
                (is_read && *reads_are_open) || scopes.iter().any(|scope| scope.covers(need))
            }
        }
    }

    /// Whether the request came without a token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }
}
