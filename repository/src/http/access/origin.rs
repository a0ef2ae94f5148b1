//! Whether a page of this server made a browser write. Browsers name the origin of the page in each POST (`Origin`,
//! RFC 6454; newer ones also Fetch Metadata). A request without either is refused.

use http::header;
use http::request::Parts;

pub(super) fn is_own(request: &Parts) -> bool {
    if let Some(site) = request.headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let text = |name| request.headers.get(name)?.to_str().ok();
    let host = request
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text(header::HOST));
    // Without the scheme, because a proxy may use another one.
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
    fn only_pages_of_the_same_host() {
        let is_own = |headers: &[(&str, &str)]| {
            let mut request = Request::post("/apps/a").header("host", "repository.example:8080");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            super::is_own(&request.body(()).unwrap().into_parts().0)
        };
        let (same, other) = (
            "http://repository.example:8080",
            "http://other.example:8080",
        );
        assert!(is_own(&[("origin", same)]));
        assert!(is_own(&[("origin", "https://Repository.example:8080")]));
        assert!(is_own(&[
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
            assert!(!is_own(headers), "{headers:?}");
        }
    }
}
