//! Detects requests that did not come from a local user: a browser names the foreign host or origin, and a proxy adds
//! headers to forwarded requests.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, Method, Version, header};

pub(super) fn is_local_request(request: &Parts) -> bool {
    let is_foreign = is_forwarded(&request.headers)
        || (is_cross_site(&request.headers) && !is_followed_link(request))
        || is_http10_write(request);
    !is_foreign && names_loopback(request)
}

/// A proxy that adds no headers speaks HTTP/1.0, which other clients no longer use.
fn is_http10_write(request: &Parts) -> bool {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    request.version < Version::HTTP_11 && !reads
}

/// Whether a page of another site made the request (Fetch Metadata).
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}

/// Whether a user followed a link. The other site cannot read the response.
fn is_followed_link(request: &Parts) -> bool {
    let is = |name, wanted: &str| {
        request
            .headers
            .get(name)
            .is_some_and(|value| value == wanted)
    };
    request.method == Method::GET
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

/// Headers that proxies add, apart from `x-forwarded-*` and `x-original-*`.
const PROXY_HEADERS: [&str; 7] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-envoy-external-address",
];

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        PROXY_HEADERS.contains(&name)
            || name.starts_with("x-forwarded")
            || name.starts_with("x-original-")
    })
}

/// Whether `Host` and, if present, `Origin` name a loopback address. Browsers send `Origin` with every write.
fn names_loopback(request: &Parts) -> bool {
    let text = |name| {
        request
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let host = request.uri.host().or(text(header::HOST).map(without_port));
    let origin_is_local = text(header::ORIGIN).is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| is_loopback_host(without_port(authority)))
    });
    host.is_some_and(is_loopback_host) && origin_is_local
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::put("/config/a/");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn loopback_hosts() {
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(names_loopback(&request(&[("host", host)])), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!names_loopback(&request(&[("host", host)])), "{host}");
        }
        assert!(!names_loopback(&request(&[])));
    }

    #[test]
    fn a_foreign_origin_is_not_local() {
        assert!(names_loopback(&request(&[
            ("host", "localhost"),
            ("origin", "http://localhost:8080")
        ])));
        assert!(!names_loopback(&request(&[
            ("host", "localhost"),
            ("origin", "http://evil.example")
        ])));
        assert!(!names_loopback(&request(&[
            ("host", "localhost"),
            ("origin", "null")
        ])));
    }

    #[test]
    fn forwarding_headers() {
        for name in [
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-forwarded",
            "x-client-ip",
            "x-original-forwarded-for",
        ] {
            assert!(is_forwarded(&request(&[(name, "x")]).headers), "{name}");
        }
        assert!(!is_forwarded(&request(&[("x-other", "x")]).headers));
    }

    #[test]
    fn cross_site_requests_and_http_1_0_writes_are_not_local() {
        let host = ("host", "localhost");
        for (site, expected) in [
            ("cross-site", false),
            ("same-site", false),
            ("same-origin", true),
            ("none", true),
        ] {
            let request = request(&[host, ("sec-fetch-site", site)]);
            assert_eq!(is_local_request(&request), expected, "{site}");
        }
        let mut old = request(&[host]);
        old.version = Version::HTTP_10;
        assert!(!is_local_request(&old));
        old.method = Method::GET;
        assert!(is_local_request(&old));
    }
}
