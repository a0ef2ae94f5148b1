//! Whether a request was made by somebody on this machine, for this machine: a browser sends along the foreign
//! host or origin that made it, and a proxy says that it passed it on.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, header};

pub(super) fn is_of_this_machine(request: &Parts) -> bool {
    !is_forwarded(&request.headers) && names_loopback(request)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}

/// Whether `Host` (and `Origin`, which a browser sends with every write) names this machine.
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
            .is_some_and(|(_, authority)| is_local(without_port(authority)))
    });
    host.is_some_and(is_local) && origin_is_local
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_local(host: &str) -> bool {
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
    fn hosts_of_this_machine() {
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
    fn a_page_of_another_origin_is_no_local_user() {
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
    fn forwarding_headers_of_every_kind() {
        for name in [
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-port",
        ] {
            assert!(is_forwarded(&request(&[(name, "x")]).headers), "{name}");
        }
        assert!(!is_forwarded(&request(&[("x-other", "x")]).headers));
    }
}
