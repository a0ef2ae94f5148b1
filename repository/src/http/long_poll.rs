//! Long polls: a `GET` of a config, a channel or a release with `If-None-Match` and `Prefer: wait=30` (RFC 7240) waits
//! until the resource changes or the wait times out.
//!
//! 1. handle the request as usual; any status but 304 is final
//! 2. wait for a new entry in the log of the app, or of the default layer
//! 3. handle the request again; if the entry changed another resource, keep waiting

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};

use percent_encoding::percent_decode_str;

use super::access::{Access, Peer};
use super::waiting::Waiting;
use crate::domain::catalogue::Catalogue;
use crate::domain::scope::LayerOwner;

/// Maximum wait. Proxies often time out earlier.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// Path prefixes that support long polls.
const POLLABLE: [&str; 3] = ["config", "channels", "releases"];

/// The owner of the requested resource, and the wait that the client requests.
fn requested_wait(request: &Parts) -> Option<(LayerOwner, Duration)> {
    let prefer = request.headers.get_all("prefer");
    if request.method != Method::GET || !request.headers.contains_key(header::IF_NONE_MATCH) {
        return None;
    }
    let seconds = prefer
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())?;
    let mut segments = request.uri.path().split('/').skip(1);
    if !POLLABLE.contains(&segments.next()?) {
        return None;
    }
    let owner = percent_decode_str(segments.next()?).decode_utf8().ok()?;
    let owner = owner.parse().ok()?;
    Some((owner, Duration::from_secs(seconds).min(MAX_WAIT)))
}

/// Responds with the result of `handle`, at once or after a change.
pub(crate) async fn respond<F: Future<Output = Response>>(
    (catalogue, access, waiting): (&Catalogue, &Access, &Waiting),
    peer: Peer,
    request: Request<Body>,
    handle: impl Fn(Request<Body>) -> F,
) -> Response {
    let (parts, body) = request.into_parts();
    let poll = requested_wait(&parts).and_then(|wait| Some((wait, waiting.long_poll()?)));
    let Some(((owner, wait), _counted)) = poll else {
        return handle(Request::from_parts(parts, body)).await;
    };
    let deadline = Instant::now() + wait;
    let repeat = || Request::from_parts(parts.clone(), Body::empty());
    let mut response = handle(repeat()).await;
    // Subscribe before handling the request again, so that no change is missed in between.
    let mut changes = catalogue.changes(match &owner {
        LayerOwner::Default => None,
        LayerOwner::App(app) => Some(app),
    });
    let mut stopping = waiting.stopping();
    let mut has_waited = false;
    while response.status() == StatusCode::NOT_MODIFIED {
        changes.mark_seen();
        response = handle(repeat()).await;
        if response.status() != StatusCode::NOT_MODIFIED {
            break;
        }
        has_waited = true;
        tokio::select! {
            () = changes.next() => {}
            () = tokio::time::sleep_until(deadline.into()) => break,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    if has_waited && response.status() != StatusCode::NOT_MODIFIED {
        // The token may have been revoked during the wait.
        if let Err(refusal) = access.authorize(peer, &parts).await {
            return refusal.failure.into_response();
        }
    }
    if let Ok(applied) = HeaderValue::from_str(&format!("wait={}", wait.as_secs())) {
        response.headers_mut().insert("preference-applied", applied);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(path: &str, headers: &[(&'static str, &str)]) -> Option<u64> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        requested_wait(&parts).map(|(_, wait)| wait.as_secs())
    }

    #[test]
    fn requests_that_wait() {
        let tag = ("if-none-match", "\"m1\"");
        let channel = "/channels/hello/stable";
        assert_eq!(wait(channel, &[tag, ("prefer", "wait=30")]), Some(30));
        assert_eq!(
            wait(channel, &[tag, ("prefer", "respond-async, WAIT = \"7\"")]),
            Some(7)
        );
        assert_eq!(wait(channel, &[tag, ("prefer", "wait=100000")]), Some(300));
        assert_eq!(
            wait(
                "/config/_default/_default.config",
                &[tag, ("prefer", "wait=1")]
            ),
            Some(1)
        );
        for (path, headers) in [
            (channel, &[("prefer", "wait=30")][..]),
            (channel, &[tag]),
            (channel, &[tag, ("prefer", "wait=soon")]),
            (channel, &[tag, ("prefer", "wait=-1")]),
            ("/artefacts/hello/", &[tag, ("prefer", "wait=30")]),
            ("/channels/Hello/stable", &[tag, ("prefer", "wait=30")]),
        ] {
            assert_eq!(wait(path, headers), None, "{path} {headers:?}");
        }
    }
}
