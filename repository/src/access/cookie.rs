//! The cookie that holds a browser's token: for the browser alone, never for a script in a page, and never sent
//! along with what another site asks for.

use http::{HeaderMap, HeaderValue, header};

const NAME: &str = "repository-token";

/// The token of a request, if it has one.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == NAME && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// What makes a browser keep `token`, until it is closed; `None` for one that no cookie can hold.
pub(crate) fn set(token: &str, is_encrypted: bool) -> Option<HeaderValue> {
    let is_plain = token
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte));
    if token.is_empty() || !is_plain {
        return None;
    }
    let secure = if is_encrypted { "; Secure" } else { "" };
    let text = format!("{NAME}={token}; Path=/; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).ok()
}

/// What makes a browser forget it.
pub(crate) const FORGET: HeaderValue =
    HeaderValue::from_static("repository-token=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_again() {
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
