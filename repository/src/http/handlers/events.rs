//! `/events`: publications, config changes and releases as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! The stream ends when the server stops, the token is revoked, or the client stops reading. A client that reconnects to
//! the stream of one app with `Last-Event-ID` receives the events that it missed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use repository_api::AppName;
use tokio::sync::watch;

use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::{Feed, News, Next};
use crate::http::access::{Access, Peer};
use crate::http::failure::Failure;
use crate::http::metrics::Counted;
use crate::http::openapi;
use crate::http::query::parameter;
use crate::http::response::respond;
use crate::http::waiting::Waiting;

const EVENT_STREAM: &str = "text/event-stream";

/// Interval of comments that keep the connection alive in proxies and clients.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Time that a client waits before it reconnects.
const RETRY_MS: u64 = 2000;

struct Stream {
    access: Arc<Access>,
    request: Parts,
    peer: Option<Peer>,
    feed: Feed,
    stopping: watch::Receiver<bool>,
    /// When the token was last checked.
    checked: Instant,
    has_begun: bool,
    _following: Counted,
}

/// Server-sent events for publications, config changes and releases, from now on.
#[utoipa::path(
    get,
    path = "/events",
    tag = "events",
    params(
        ("app" = Option<openapi::App>, Query, description = "Only events of this app"),
        ("last-event-id" = Option<u64>, Header, description = "Resume after this event of the app"),
    ),
    responses(
        (status = 200, description = "Events, until the server or the client closes the stream", body = String, content_type = "text/event-stream"),
        openapi::Refused,
        openapi::Missing,
        (status = 503, description = "Too many event streams are open", body = openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    State(access): State<Arc<Access>>,
    State(waiting): State<Arc<Waiting>>,
    request: Request,
) -> Result<Response, Failure> {
    let (request, _) = request.into_parts();
    let Some(following) = waiting.event_stream() else {
        return Err(Failure::unavailable(
            "too many event streams are open: retry later, or poll for changes",
        )
        .retry_after(HEARTBEAT));
    };
    let app: Option<AppName> = parameter(request.uri.query(), "app")?;
    let feed = match &app {
        Some(app) => Feed::of_app(&catalogue, app, last_event(&request)).await?,
        None => Feed::of_all(&catalogue, request.headers.contains_key("last-event-id")),
    };
    let stream = Stream {
        stopping: waiting.stopping(),
        peer: request.extensions.get().copied(),
        checked: Instant::now(),
        has_begun: false,
        _following: following,
        access,
        request,
        feed,
    };
    let body = stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<_, Infallible>(bytes), stream))
    });
    let mut response = respond(StatusCode::OK, EVENT_STREAM, Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without this header, nginx holds events back until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The id of the last event that the client received, if it is a number.
fn last_event(request: &Parts) -> Option<u64> {
    let value = request.headers.get("last-event-id")?;
    value.to_str().ok()?.parse().ok()
}

impl Stream {
    /// The next chunk, or `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(format!("retry: {RETRY_MS}\n\n").into());
        }
        let text = tokio::select! {
            next = self.feed.next() => show(&next, self.feed.has_ids()),
            () = tokio::time::sleep(HEARTBEAT) => ":\n\n".to_owned(),
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
        };
        self.is_still_authorized().await.then(|| text.into())
    }

    async fn is_still_authorized(&mut self) -> bool {
        const INTERVAL: Duration = Duration::from_secs(1);
        let Some(peer) = self.peer.filter(|_| self.checked.elapsed() >= INTERVAL) else {
            return true;
        };
        self.checked = Instant::now();
        self.access.authorize(peer, &self.request).await.is_ok()
    }
}

fn show(next: &Next, has_ids: bool) -> String {
    let news: &News = match next {
        Next::News(news) => news,
        Next::Missed => return "event: missed\ndata: {}\n\n".to_owned(),
    };
    let News { kind, text, .. } = news;
    match news.id().filter(|_| has_ids) {
        Some(id) => format!("id: {id}\nevent: {kind}\ndata: {text}\n\n"),
        None => format!("event: {kind}\ndata: {text}\n\n"),
    }
}
