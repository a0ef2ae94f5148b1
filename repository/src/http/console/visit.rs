//! Who looks at a page, and by which address.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use repository_api::{AppName, ChannelName};

use crate::domain::scope::Need;
use crate::http::access::{Peer, Who};

/// What every page wants to know of its request.
#[derive(Debug)]
pub(crate) struct Visit {
    /// `None` on pages for everyone, and on those that say that somebody may not.
    pub(super) who: Option<Who>,
    /// How this server was called, as `http://host:port`.
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
        // It is shown in commands that people copy.
        let host = text(header::HOST.as_str()).filter(|host| {
            host.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        });
        Self {
            who: request.extensions.get().cloned(),
            base: format!("{scheme}://{}", host.unwrap_or("repository.platform")),
            query: request.uri.query().unwrap_or_default().to_owned(),
            is_encrypted,
            peer,
        }
    }

    /// For the answer to a form: what its address says besides is for pages.
    pub(super) fn without_query(self) -> Self {
        Self {
            query: String::new(),
            ..self
        }
    }

    /// The first value of a parameter of the query, unless it is empty.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }

    pub(super) fn may(&self, need: &Need) -> bool {
        self.who.as_ref().is_some_and(|who| who.may(need))
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

    /// What `curl` is told, so that the server knows who asks; nothing where it does not want to know.
    pub(super) fn credentials(&self) -> &'static str {
        match &self.who {
            Some(who) if !who.is_anonymous() => " -u token:$TOKEN",
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
