//! Who may do what.
//!
//! 1. whoever asks may know whether the server lives
//! 2. who comes with a token may do what it covers ([`scope`], [`needs`]), and is counted if it is none ([`failures`])
//! 3. a browser's token is in a cookie ([`cookie`]), and it must be a page of ours that makes it write ([`origin`])
//! 4. who comes without: while no token was ever made, and no admin token is set, on a loopback address all is
//!    open to this machine ([`loopback`]), elsewhere reads are; with tokens nothing is, but reads where
//!    `REPOSITORY_OPEN_READS` says so; `REPOSITORY_ANONYMOUS_WRITES` opens everything

pub(crate) mod admin;
pub(crate) mod cookie;
pub(crate) mod failures;
mod loopback;
mod needs;
mod origin;
mod who;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version, header};

use crate::Repository;
use crate::cli::settings::Settings;
use crate::domain::catalogue::{App, AppState};
pub(crate) use crate::domain::scope::Need;
use crate::domain::scope::Scope;
use crate::domain::token::Hash;
use crate::http::console;
use crate::http::failure::Failure;
use who::Rights;
pub(crate) use who::Who;

pub(crate) use crate::domain::token::{ADMIN, ANONYMOUS};

/// How old what is known of the tokens may be: one that is revoked is good for so long.
const LASTING: Duration = Duration::from_secs(1);

/// The same, where a token is not known: whoever guesses must not make the store busy.
const NEW: Duration = Duration::from_millis(100);

/// From where a request came, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) is_encrypted: bool,
}

/// Why somebody may not, and who it is, if that is known.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    pub(crate) who: Option<Who>,
}

impl<T: Into<Failure>> From<T> for Refusal {
    fn from(failure: T) -> Self {
        Self {
            failure: failure.into(),
            who: None,
        }
    }
}

/// Refuses those who may not, before a body is read.
pub(crate) async fn may(
    repository: &Repository,
    peer: Peer,
    request: &Parts,
) -> Result<Who, Refusal> {
    let hosts = request.headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version >= Version::HTTP_11) {
        let failure = Failure::bad_request(
            "the request names no host, or more than one: send one Host header",
        );
        return Err(failure.into());
    }
    let from_cookie = cookie::token(&request.headers);
    let is_form = request.method == Method::POST && console::is_page(request.uri.path());
    let is_of_a_browser = is_form || from_cookie.is_some();
    if is_of_a_browser && !is_read(&request.method) && !origin::is_own(request) {
        let failure = Failure::new(
            StatusCode::FORBIDDEN,
            "another site's page made this request, or nobody says whose: use the forms of this one, or the API with Authorization",
        );
        return Err(failure.into());
    }
    if is_for_everyone(request.uri.path()) {
        return Ok(Who::anonymous(Rights::Reads));
    }
    if let Some(secret) = secret(&request.headers)?.or(from_cookie) {
        return with_token(repository, peer, request, &secret).await;
    }
    Ok(without_token(repository, peer, request).await?)
}

/// Probes, and what a page is made of before anybody has signed in.
fn is_for_everyone(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/sign-in" | "/sign-out")
        || path.starts_with("/assets/")
}

/// What `Authorization` holds: as a bearer, or as the password of whatever user.
fn secret(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let malformed = || {
        Failure::bad_request(
            "Authorization cannot be read: send the token as curl -u token:SECRET does, or as Bearer SECRET",
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

/// Whoever listens on the way has the token by now: it must not look as if that were all right.
fn refuse_in_the_open(peer: Peer) -> Result<(), Failure> {
    if peer.is_encrypted || !is_public(peer.address.ip()) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        "the token came unencrypted from a public address, so others may have it: revoke it with repository token revoke, and use https",
    ))
}

/// Not of this machine, and not of a network that is somebody's own (RFC 1918, 6598, 4193, 3927).
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

async fn with_token(
    repository: &Repository,
    peer: Peer,
    request: &Parts,
    secret: &str,
) -> Result<Who, Refusal> {
    let who = who_has(repository, peer, secret).await?;
    let need = needs::of(&request.method, &request.uri);
    if who.may(&need) {
        return Ok(who);
    }
    let failure = not_covered(&who, &need);
    let who = Some(who);
    Err(Refusal { failure, who })
}

/// Whose token it is, if it counts.
pub(crate) async fn who_has(
    repository: &Repository,
    peer: Peer,
    secret: &str,
) -> Result<Who, Refusal> {
    refuse_in_the_open(peer)?;
    let hash = Hash::of(secret);
    let is_admin = repository
        .admin
        .as_ref()
        .is_some_and(|admin| admin.is(&hash));
    if is_admin {
        return Ok(Who::admin());
    }
    let mut found = known(repository.catalogue.tokens(LASTING).await?, &hash);
    if found.is_none() {
        // It may have been made just now.
        found = known(repository.catalogue.tokens(NEW).await?, &hash);
    }
    let Some((name, scopes, is_expired)) = found else {
        let failure = turned_away(
            repository,
            peer,
            "there is no such token, or it was revoked: ask for one that is made with repository token create",
        );
        return Err(failure.into());
    };
    let who = Who {
        name: Cow::Owned(name),
        rights: Rights::Scopes(scopes, repository.settings.open_reads),
    };
    if is_expired {
        let detail = format!(
            "the token {} has expired: ask for another one, made with repository token create",
            who.name
        );
        let failure = turned_away(repository, peer, &detail);
        let who = Some(who);
        return Err(Refusal { failure, who });
    }
    Ok(who)
}

/// Name and scopes of a token, and whether it has expired.
fn known(tokens: &App, hash: &Hash) -> Option<(String, Vec<Scope>, bool)> {
    tokens.read(|state| {
        let found = state.token(hash)?;
        let is_expired = found.is_expired(SystemTime::now());
        Some((found.name.to_string(), found.scopes.clone(), is_expired))
    })
}

fn turned_away(repository: &Repository, peer: Peer, detail: &str) -> Failure {
    repository.metrics.turned_away.inc();
    match repository.failures.count(peer.address.ip()) {
        None => Failure::new(StatusCode::UNAUTHORIZED, detail),
        Some(wait) => Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("{detail}; too many were tried from this address, wait for a minute"),
        )
        .retry_after(wait),
    }
}

fn not_covered(who: &Who, need: &Need) -> Failure {
    let scopes: Vec<String> = match &who.rights {
        Rights::Scopes(scopes, _) => scopes.iter().map(ToString::to_string).collect(),
        Rights::Reads | Rights::Everything => Vec::new(),
    };
    Failure::new(
        StatusCode::FORBIDDEN,
        format!(
            "the token {} covers {}, and this needs {need}: use one that was made with that scope",
            who.name,
            scopes.join(" ")
        ),
    )
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether whoever has no token may read, as far as it is known.
pub(crate) fn reads_are_open(repository: &Repository) -> bool {
    let Settings {
        anonymous_writes,
        open_reads,
        ..
    } = repository.settings;
    anonymous_writes
        || open_reads
        || (repository.admin.is_none() && repository.catalogue.has_no_tokens())
}

async fn without_token(
    repository: &Repository,
    peer: Peer,
    request: &Parts,
) -> Result<Who, Failure> {
    let settings = &repository.settings;
    if settings.anonymous_writes {
        return Ok(Who::anonymous(Rights::Everything));
    }
    if settings.open_reads && is_read(&request.method) {
        return Ok(Who::anonymous(Rights::Reads));
    }
    let tokens = repository.catalogue.tokens(LASTING).await?;
    if repository.admin.is_some() || !tokens.read(AppState::is_empty) {
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "this repository asks for a token: send one as curl -u token:SECRET does; whoever runs it makes one with repository token create",
        ));
    }
    if settings.listen.ip().is_loopback() {
        // The address is looked at, too: a kernel can be told to let neighbours reach a loopback address.
        if peer.address.ip().to_canonical().is_loopback() && loopback::is_of_this_machine(request) {
            return Ok(Who::anonymous(Rights::Everything));
        }
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "this repository answers its own machine only, and the request was made for another host, by a web page, or passed on by a proxy: ask http://localhost, make tokens with repository token create, or start it with REPOSITORY_ANONYMOUS_WRITES=true",
        ));
    }
    if is_read(&request.method) {
        return Ok(Who::anonymous(Rights::Reads));
    }
    Err(Failure::new(
        StatusCode::UNAUTHORIZED,
        "writes are closed here: make a token with repository token create, or set REPOSITORY_ADMIN_TOKEN_FILE; REPOSITORY_ANONYMOUS_WRITES=true opens them on a network that you trust",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_in_two_forms() {
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
