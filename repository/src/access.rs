//! Who may do what, while no tokens are configured.
//!
//! On a loopback address all is open, except to requests that a browser or a proxy passed on: those
//! carry a foreign `Host` or forwarding headers. Elsewhere reads are open, and writes only where
//! `REPOSITORY_ANONYMOUS_WRITES` says so.

use std::net::IpAddr;

use axum::extract::Request;
use http::{HeaderMap, Method, StatusCode, Version, header};

use crate::Repository;
use crate::failure::Failure;

/// Who writes, while there are no tokens to tell.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// Refuses those who may not, before a body is read.
pub(crate) fn may(repository: &Repository, request: &Request) -> Result<(), Failure> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() >= Version::HTTP_11) {
        return Err(Failure::bad_request(
            "the request names no host, or more than one: send one Host header",
        ));
    }
    // Whoever asks may know whether the server lives.
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if repository.settings.anonymous_writes || is_probe {
        return Ok(());
    }
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if repository.settings.listen.ip().is_loopback() {
        if is_forwarded(request.headers()) || !names_loopback(request) {
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "this repository answers its own machine only, and the request was made for another host, by a web page, or passed on by a proxy: ask http://localhost, or start the repository with REPOSITORY_ANONYMOUS_WRITES=true",
            ));
        }
        return Ok(());
    }
    if reads {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNAUTHORIZED,
        "writes are closed here: start the repository with REPOSITORY_ANONYMOUS_WRITES=true on a network that you trust, or publish on its own machine with REPOSITORY_LISTEN on a loopback address",
    ))
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}

/// Whether `Host` (and `Origin`, which a browser sends with every write) names this machine.
fn names_loopback(request: &Request) -> bool {
    let text = |name| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let host = request
        .uri()
        .host()
        .or(text(header::HOST).map(without_port));
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
    use axum::body::Body;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::put("/config/a/");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).unwrap()
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
            assert!(is_forwarded(request(&[(name, "x")]).headers()), "{name}");
        }
        assert!(!is_forwarded(request(&[("x-other", "x")]).headers()));
    }
}
