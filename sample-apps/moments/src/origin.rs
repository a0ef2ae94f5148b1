//! Protection against cross-site requests. Browsers send the origin of the page with every write and every
//! WebSocket (`Origin`, RFC 6454), and current ones also send `Sec-Fetch-Site` (Fetch Metadata). A client that
//! sends neither isn't a browser, so no site can misuse its user's session.

use http::request::Parts;
use http::{HeaderMap, header};

/// Whether the request comes from a page of this app, or not from a browser.
pub(crate) fn is_same_origin(request: &Parts) -> bool {
    let headers = &request.headers;
    let is_same_site = text(headers, "sec-fetch-site").is_none_or(|site| site == "same-origin");
    let Some(origin) = headers.get(header::ORIGIN) else {
        return is_same_site;
    };
    let host = request
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text(headers, "host"));
    // Compares without the scheme, because the load balancer may terminate TLS.
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| Some(origin.split_once("://")?.1));
    let is_same_host = match (authority, host) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    };
    is_same_site && is_same_host
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    #[test]
    fn pages_of_the_same_host_and_clients_other_than_browsers_are_allowed() {
        let is_same_origin = |headers: &[(&str, &str)]| {
            let mut request = Request::get("/events").header("host", "moments.localhost:8080");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            super::is_same_origin(&request.body(()).unwrap().into_parts().0)
        };
        let same = ("origin", "http://moments.localhost:8080");
        for headers in [
            &[][..],
            &[same],
            &[("origin", "https://Moments.localhost:8080")],
            &[same, ("sec-fetch-site", "same-origin")],
        ] {
            assert!(is_same_origin(headers), "{headers:?}");
        }
        for headers in [
            &[("origin", "http://other.localhost:8080")][..],
            &[("origin", "http://moments.localhost")],
            &[("origin", "null")],
            &[("origin", "")],
            &[same, ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            assert!(!is_same_origin(headers), "{headers:?}");
        }
    }
}
