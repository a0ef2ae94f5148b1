//! The repository's address: scheme, host, port, and perhaps the path prefix of a proxy.

use std::str::FromStr;

use url::Url;

use super::groups::Token;
use crate::exit::{Exit, Failure};

/// A repository's address. User and password are separate, so that messages contain neither.
#[derive(Clone)]
pub(crate) struct Origin {
    base: Url,
    user: Option<(String, String)>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({})", self.base)
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OriginError {
    #[error("expected host, host:port or an http(s):// URL")]
    Malformed,
    #[error("expected http:// or https://")]
    Scheme,
    #[error("expected an address without ? and #")]
    Query,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let mut base = Url::parse(&full).map_err(|_| OriginError::Malformed)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(OriginError::Scheme);
        }
        if base.host_str().is_none_or(str::is_empty) {
            return Err(OriginError::Malformed);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(OriginError::Query);
        }
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let user = (!base.username().is_empty() || base.password().is_some()).then(|| {
            (
                decoded(base.username()),
                decoded(base.password().unwrap_or_default()),
            )
        });
        base.set_username("").map_err(|()| OriginError::Malformed)?;
        base.set_password(None)
            .map_err(|()| OriginError::Malformed)?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self { base, user })
    }
}

impl Origin {
    pub(crate) fn url(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&self.shown(path)).map_err(|error| {
            Failure::new(Exit::Usage, "the repository's address is invalid").because(error)
        })
    }

    /// The address of `path` for messages, without user and password.
    pub(crate) fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// The address with user and password, for another process of bootstrap. Never log it.
    pub(crate) fn with_credentials(&self) -> String {
        let mut url = self.base.clone();
        if let Some((user, password)) = &self.user {
            // An address with a host accepts both.
            let _ = url.set_username(user);
            let _ = url.set_password(Some(password));
        }
        url.into()
    }

    /// Whether `url` is on the same origin (RFC 6454).
    pub(crate) fn contains(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    /// The value of `Authorization`: the token, or the address's user.
    pub(crate) fn authorization(&self, token: Option<&Token>) -> Option<String> {
        use base64::Engine as _;
        match (token, &self.user) {
            (Some(Token(token)), _) => Some(format!("Bearer {token}")),
            (None, Some((user, password))) => {
                let pair =
                    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {pair}"))
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_address() {
        let shown = |text: &str| text.parse::<Origin>().unwrap().shown("/a");
        assert_eq!(shown("repository.platform"), "http://repository.platform/a");
        assert_eq!(shown("localhost:8081"), "http://localhost:8081/a");
        assert_eq!(shown("https://host/prefix/"), "https://host/prefix/a");
        assert_eq!(shown("[::1]:80"), "http://[::1]/a");
        for bad in [
            "",
            "ftp://host",
            "http://",
            "host?x",
            "http://host/#x",
            "a b",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn users_are_sent_and_never_shown() {
        let origin: Origin = "https://us%40er:hunter2@host".parse().unwrap();
        assert_eq!(origin.shown(""), "https://host");
        assert!(!format!("{origin:?}").contains("hunter2"));
        assert_eq!(
            origin.authorization(None).unwrap(),
            "Basic dXNAZXI6aHVudGVyMg=="
        );
        let again: Origin = origin.with_credentials().parse().unwrap();
        assert_eq!(again.authorization(None), origin.authorization(None));
        assert_eq!(
            origin.authorization(Some(&Token("t".into()))).unwrap(),
            "Bearer t"
        );
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin: Origin = "http://host".parse().unwrap();
        let contains = |url: &str| origin.contains(&Url::parse(url).unwrap());
        assert!(contains("http://host:80/b"));
        assert!(
            !contains("https://host/b")
                && !contains("http://host:81/b")
                && !contains("http://host.evil/b")
        );
    }
}
