//! Protection against cross-site request forgery. Browsers send the origin of the page with each POST (`Origin`, RFC 6454;
//! newer browsers also Fetch Metadata). A request without either is refused.

use http::header;
use http::request::Parts;

pub(super) fn is_same_origin(request: &Parts) -> bool {
    if let Some(site) = request.headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let text = |name| request.headers.get(name)?.to_str().ok();
    let host = request
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text(header::HOST));
    // Ignores the scheme, because a proxy may terminate TLS.
    let origin = text(header::ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, authority)| authority);
    match (origin, host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    #[test]
    fn same_origin_requests() {
        let is_same_origin = |headers: &[(&str, &str)]| {
            let mut request = Request::post("/apps/a").header("host", "repository.example:8080");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            super::is_same_origin(&request.body(()).unwrap().into_parts().0)
        };
        let (same, other) = (
            "http://repository.example:8080",
            "http://other.example:8080",
        );
        assert!(is_same_origin(&[("origin", same)]));
        assert!(is_same_origin(&[(
            "origin",
            "https://Repository.example:8080"
        )]));
        assert!(is_same_origin(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", same)
        ]));
        for headers in [
            &[][..],
            &[("origin", other)],
            &[("origin", "null")],
            &[("origin", "http://repository.example")],
            &[("sec-fetch-site", "same-site"), ("origin", same)],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!is_same_origin(headers), "{headers:?}");
        }
    }
}
