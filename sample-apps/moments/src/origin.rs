//! Whether a request comes from a page of this app. Every browser says with what it writes, and with each
//! WebSocket, where its page came from (`Origin`, RFC 6454); those of today say it in words, too (Fetch Metadata).
//! Whoever says nothing is no browser, and has no user whose name could be used.

use http::request::Parts;
use http::{HeaderMap, header};

pub(crate) fn is_own(request: &Parts) -> bool {
    let headers = &request.headers;
    let said = text(headers, "sec-fetch-site").is_none_or(|site| site == "same-origin");
    let Some(origin) = headers.get(header::ORIGIN) else {
        return said;
    };
    let host = request
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text(headers, "host"));
    // Without the scheme: the load balancer may speak another one.
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| Some(origin.split_once("://")?.1));
    let is_same = match (authority, host) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    };
    said && is_same
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    #[test]
    fn pages_of_the_same_host_and_what_is_no_browser() {
        let is_own = |headers: &[(&str, &str)]| {
            let mut request = Request::get("/events").header("host", "moments.localhost:8080");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            super::is_own(&request.body(()).unwrap().into_parts().0)
        };
        let same = ("origin", "http://moments.localhost:8080");
        for headers in [
            &[][..],
            &[same],
            &[("origin", "https://Moments.localhost:8080")],
            &[same, ("sec-fetch-site", "same-origin")],
        ] {
            assert!(is_own(headers), "{headers:?}");
        }
        for headers in [
            &[("origin", "http://other.localhost:8080")][..],
            &[("origin", "http://moments.localhost")],
            &[("origin", "null")],
            &[("origin", "")],
            &[same, ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            assert!(!is_own(headers), "{headers:?}");
        }
    }
}
