//! The cookie that holds a browser's token. Scripts cannot read the cookie, and browsers do not send it with cross-site
//! writes.

use http::{HeaderMap, HeaderValue, header};

const NAME: &str = "repository-token";

/// The `__Host-` prefix prevents other paths and domains from setting the cookie. It requires https.
const HOST_NAME: &str = "__Host-repository-token";

/// The token in the cookie of a request.
pub(crate) fn token(headers: &HeaderMap) -> Option<String> {
    named(headers, HOST_NAME).or_else(|| named(headers, NAME))
}

fn named(headers: &HeaderMap, wanted: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// The `Set-Cookie` that stores `token` until the browser closes; `None` for a token that no cookie can hold.
pub(crate) fn set(token: &str, is_encrypted: bool) -> Option<HeaderValue> {
    let is_plain = token
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte));
    if token.is_empty() || !is_plain {
        return None;
    }
    let (name, secure) = if is_encrypted {
        (HOST_NAME, "; Secure")
    } else {
        (NAME, "")
    };
    // Lax keeps a user signed in who follows a link from another site. Writes are checked by their origin.
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

/// The `Set-Cookie` that deletes the token.
pub(crate) fn delete(is_encrypted: bool) -> HeaderValue {
    HeaderValue::from_static(if is_encrypted {
        "__Host-repository-token=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
    } else {
        "repository-token=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips() {
        let set = set("rpt_abc-_1", true).unwrap();
        let (pair, _) = set.to_str().unwrap().split_once(';').unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            format!("other=1; {pair}; more").parse().unwrap(),
        );
        assert_eq!(token(&headers).unwrap(), "rpt_abc-_1");
        headers.insert(header::COOKIE, "repository-token=".parse().unwrap());
        assert_eq!(token(&headers), None);
        for bad in ["", "a b", "a;b", "a,b", "\u{e4}", "a\nb"] {
            assert!(super::set(bad, false).is_none(), "{bad:?}");
        }
    }
}
