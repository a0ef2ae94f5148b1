//! The user and the address of a page request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use repository_api::{AppName, ChannelName};

use crate::domain::scope::Need;
use crate::http::access::{Identity, Peer};

/// The context that every page needs from its request.
#[derive(Debug)]
pub(crate) struct Visit {
    /// `None` on public pages and on error pages.
    pub(super) identity: Option<Identity>,
    /// The server's address as the client used it, such as `http://host:port`.
    pub(super) base: String,
    pub(super) query: String,
    pub(super) is_encrypted: bool,
    pub(super) peer: Option<Peer>,
}

impl Visit {
    pub(crate) fn of(request: &Parts) -> Self {
        let peer: Option<Peer> = request.extensions.get().copied();
        let text = |name: &str| request.headers.get(name)?.to_str().ok();
        let is_encrypted = peer.is_some_and(|peer| peer.is_encrypted)
            || text("x-forwarded-proto") == Some("https");
        let scheme = if is_encrypted { "https" } else { "http" };
        // Users copy it as part of a shell command, so no other characters are allowed.
        let host = text(header::HOST.as_str()).filter(|host| {
            host.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        });
        Self {
            identity: request.extensions.get().cloned(),
            base: format!("{scheme}://{}", host.unwrap_or("repository.platform")),
            query: request.uri.query().unwrap_or_default().to_owned(),
            is_encrypted,
            peer,
        }
    }

    /// Drops the query, which describes the page and not the form.
    pub(super) fn without_query(self) -> Self {
        Self {
            query: String::new(),
            ..self
        }
    }

    /// The first value of a query parameter, unless it is empty.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }

    pub(super) fn may(&self, need: &Need) -> bool {
        self.identity
            .as_ref()
            .is_some_and(|identity| identity.may(need))
    }

    pub(super) fn may_read(&self, app: &AppName) -> bool {
        self.may(&Need::Read(Some(app.clone())))
    }

    pub(super) fn may_publish(&self, app: &AppName) -> bool {
        self.may(&Need::Publish(app.clone()))
    }

    pub(super) fn may_move(&self, app: &AppName, channel: &ChannelName) -> bool {
        self.may(&Need::Release(app.clone(), Some(channel.clone())))
    }

    /// The option that passes the token to `curl`; empty for anonymous users.
    pub(super) fn credentials(&self) -> &'static str {
        match &self.identity {
            Some(identity) if !identity.is_anonymous() => " -u token:$TOKEN",
            _ => "",
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}
