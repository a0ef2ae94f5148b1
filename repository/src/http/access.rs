//! Authentication and authorization of requests.
//!
//! 1. probes need no token
//! 2. a token allows the requests that its scopes cover ([`needs`]); invalid tokens are rate-limited ([`failures`])
//! 3. a browser holds its token in a cookie ([`cookie`]) and writes only through forms of this server ([`origin`])
//! 4. without a token: before the first token exists, local users need none on a loopback address ([`loopback`]), and
//!    other addresses allow reads. Once a token exists, every request needs one, except reads with
//!    `REPOSITORY_OPEN_READS`. `REPOSITORY_ANONYMOUS_WRITES` allows everything without a token

pub(crate) mod admin;
pub(crate) mod cookie;
pub(crate) mod failures;
mod identity;
mod loopback;
mod needs;
mod origin;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version, header};

use super::failure::Failure;
use super::metrics::Metrics;
use super::paths;
use crate::domain::catalogue::{Catalogue, TokenLog};
use crate::domain::scope::{Need, Scope};
use crate::domain::state::LogState as _;
use crate::domain::state::tokens::TokensState;
pub(crate) use crate::domain::token::ANONYMOUS;
use crate::domain::token::Hash;
use admin::Admin;
use failures::Failures;
pub(crate) use identity::Identity;
use identity::Rights;

/// Maximum age of the token list. A revoked token stays valid for this time.
const MAX_STALENESS: Duration = Duration::from_secs(1);

/// Maximum age of the token list before a token counts as unknown. Limits the load that guessing puts on the store.
const MAX_STALENESS_UNKNOWN: Duration = Duration::from_millis(100);

/// The client of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) is_encrypted: bool,
}

/// The response to a refused request, and its user, if known.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    pub(crate) identity: Option<Identity>,
}

impl<T: Into<Failure>> From<T> for Refusal {
    fn from(failure: T) -> Self {
        Self {
            failure: failure.into(),
            identity: None,
        }
    }
}

/// Requests that need no token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenAccess {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    /// Whether the server listens on a loopback address.
    pub(crate) is_loopback: bool,
}

#[derive(Debug)]
pub(crate) struct Access {
    catalogue: Arc<Catalogue>,
    admin: Option<Arc<Admin>>,
    open: OpenAccess,
    failures: Failures,
    metrics: Arc<Metrics>,
}

impl Access {
    pub(crate) fn new(
        catalogue: Arc<Catalogue>,
        admin: Option<Arc<Admin>>,
        open: OpenAccess,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            catalogue,
            admin,
            open,
            failures: Failures::default(),
            metrics,
        }
    }

    /// Authenticates the user of a request and checks their permissions, before the body is read.
    pub(crate) async fn authorize(&self, peer: Peer, request: &Parts) -> Result<Identity, Refusal> {
        let hosts = request.headers.get_all(header::HOST).iter().count();
        if hosts > 1 || (hosts == 0 && request.version >= Version::HTTP_11) {
            let failure = Failure::bad_request("the request must have exactly one Host header");
            return Err(failure.into());
        }
        let from_cookie = cookie::token(&request.headers);
        let is_form = request.method == Method::POST && paths::is_page(request.uri.path());
        let is_browser = is_form || from_cookie.is_some();
        if is_browser && !is_read(&request.method) && !origin::is_same_origin(request) {
            let failure = Failure::new(
                StatusCode::FORBIDDEN,
                "the request comes from another site, or its origin is unknown: use the forms of this site, or call the API with an Authorization header",
            );
            return Err(failure.into());
        }
        if is_public_path(request.uri.path()) {
            return Ok(Identity::anonymous(Rights::Reads));
        }
        if let Some(secret) = secret(&request.headers)?.or(from_cookie) {
            return self.with_token(peer, request, &secret).await;
        }
        Ok(self.without_token(peer, request).await?)
    }

    async fn with_token(
        &self,
        peer: Peer,
        request: &Parts,
        secret: &str,
    ) -> Result<Identity, Refusal> {
        let identity = self.identify(peer, secret).await?;
        let need = needs::of(&request.method, &request.uri);
        if identity.may(&need) {
            return Ok(identity);
        }
        Err(Refusal {
            failure: missing_scope(&identity, &need),
            identity: Some(identity),
        })
    }

    /// The identity that a token belongs to.
    pub(crate) async fn identify(&self, peer: Peer, secret: &str) -> Result<Identity, Refusal> {
        refuse_unencrypted(peer)?;
        let hash = Hash::of(secret);
        if self.admin.as_ref().is_some_and(|admin| admin.is(&hash)) {
            return Ok(Identity::admin());
        }
        let mut found = find_token(self.catalogue.tokens(MAX_STALENESS).await?, &hash);
        if found.is_none() {
            // The token may be newer than the token list.
            found = find_token(self.catalogue.tokens(MAX_STALENESS_UNKNOWN).await?, &hash);
        }
        let Some((name, scopes, is_expired)) = found else {
            let failure = self.refuse_token(
                peer,
                "the token is unknown or revoked: ask your administrator to run repository token create",
            );
            return Err(failure.into());
        };
        let identity = Identity {
            name: Cow::Owned(name),
            rights: Rights::Scopes(scopes, self.open.reads),
        };
        if is_expired {
            let detail = format!(
                "the token {} has expired: ask your administrator to run repository token create",
                identity.name
            );
            let failure = self.refuse_token(peer, &detail);
            let identity = Some(identity);
            return Err(Refusal { failure, identity });
        }
        Ok(identity)
    }

    fn refuse_token(&self, peer: Peer, detail: &str) -> Failure {
        self.metrics.tokens_refused.inc();
        match self.failures.count(peer.address.ip()) {
            None => Failure::new(StatusCode::UNAUTHORIZED, detail),
            Some(wait) => Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!(
                    "{detail}; this address sent too many invalid tokens, wait a minute and retry"
                ),
            )
            .retry_after(wait),
        }
    }

    /// Whether a request without a token may read, by the current token list.
    pub(crate) fn reads_are_open(&self) -> bool {
        self.open.writes
            || self.open.reads
            || (self.admin.is_none() && self.catalogue.has_no_tokens())
    }

    async fn without_token(&self, peer: Peer, request: &Parts) -> Result<Identity, Failure> {
        if self.open.writes {
            return Ok(Identity::anonymous(Rights::Everything));
        }
        if self.open.reads && is_read(&request.method) {
            return Ok(Identity::anonymous(Rights::Reads));
        }
        let tokens = self.catalogue.tokens(MAX_STALENESS).await?;
        if self.admin.is_some() || !tokens.read(TokensState::is_empty) {
            return Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "this repository requires a token: send one with curl -u token:SECRET; an administrator creates one with repository token create",
            ));
        }
        if self.open.is_loopback {
            // Check the peer's address too: a kernel setting can let other hosts reach a loopback address.
            let is_local = peer.address.ip().to_canonical().is_loopback();
            if is_local && loopback::is_local_request(request) {
                return Ok(Identity::anonymous(Rights::Everything));
            }
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "this repository accepts only local requests, but the request names another host, comes from a web page, or passed through a proxy: use http://localhost, create a token with repository token create, or start the repository with REPOSITORY_ANONYMOUS_WRITES=true",
            ));
        }
        if is_read(&request.method) {
            return Ok(Identity::anonymous(Rights::Reads));
        }
        Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "this repository requires a token for writes: create one with repository token create, or set REPOSITORY_ADMIN_TOKEN_FILE; on a trusted network, REPOSITORY_ANONYMOUS_WRITES=true allows writes without a token",
        ))
    }
}

/// Whether a path needs no token: probes, assets, and the sign-in page.
fn is_public_path(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/sign-in" | "/sign-out")
        || path.starts_with("/assets/")
}

/// The token in `Authorization`: a bearer token, or the basic password of any user.
fn secret(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let malformed = || {
        Failure::bad_request(
            "the Authorization header is malformed: send the token with curl -u token:SECRET, or as Bearer SECRET",
        )
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed());
    }
    let value = value.to_str().map_err(|_| malformed())?;
    let (scheme, rest) = value.trim().split_once(' ').ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(rest.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (_, password) = text.split_once(':').ok_or_else(malformed)?;
    Ok(Some(password.to_owned()))
}

/// Refuses a token that was sent unencrypted over a public network.
fn refuse_unencrypted(peer: Peer) -> Result<(), Failure> {
    if peer.is_encrypted || !is_public(peer.address.ip()) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        "the token was sent unencrypted from a public address and may be compromised: revoke it with repository token revoke, and use https",
    ))
}

/// Whether an address is public: neither loopback nor private (RFC 1918, 6598, 4193, 3927).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(address.is_loopback() || address.is_private() || address.is_link_local() || is_shared)
        }
        IpAddr::V6(address) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
    }
}

/// Name and scopes of a token, and whether it has expired.
fn find_token(tokens: &TokenLog, hash: &Hash) -> Option<(String, Vec<Scope>, bool)> {
    tokens.read(|state| {
        let found = state.token(hash)?;
        let is_expired = found.is_expired(SystemTime::now());
        Some((found.name.to_string(), found.scopes.clone(), is_expired))
    })
}

fn missing_scope(identity: &Identity, need: &Need) -> Failure {
    let scopes: Vec<String> = match &identity.rights {
        Rights::Scopes(scopes, _) => scopes.iter().map(ToString::to_string).collect(),
        Rights::Reads | Rights::Everything => Vec::new(),
    };
    Failure::new(
        StatusCode::FORBIDDEN,
        format!(
            "the token {} has the scopes {}, but the request needs {need}: use a token with that scope",
            identity.name,
            scopes.join(" ")
        ),
    )
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_basic_tokens() {
        let secret = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            secret(&headers)
        };
        assert_eq!(secret("Bearer abc").unwrap().unwrap(), "abc");
        assert_eq!(secret("bearer  abc ").unwrap().unwrap(), "abc");
        let basic = format!("Basic {}", STANDARD.encode("token:a:c"));
        assert_eq!(secret(&basic).unwrap().unwrap(), "a:c");
        for bad in ["abc", "Basic abc", "Digest x=y", "Basic", ""] {
            assert!(secret(bad).is_err(), "{bad}");
        }
        let mut twice = HeaderMap::new();
        twice.append(header::AUTHORIZATION, "Bearer a".parse().unwrap());
        twice.append(header::AUTHORIZATION, "Bearer b".parse().unwrap());
        assert!(super::secret(&twice).is_err());
        assert_eq!(super::secret(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn public_addresses() {
        let public = |address: &str| is_public(address.parse().unwrap());
        for address in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!public(address), "{address}");
        }
    }
}
