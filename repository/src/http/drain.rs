//! Draining of request bodies that nothing reads, such as that of a refused upload.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Maximum bytes to drain. Without draining, the client sees a connection reset instead of the response.
const DRAIN_BYTES: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A request body that drains its rest when dropped. It does not drain if the client waits for `100 Continue`, because
/// reading would start the refused upload.
#[derive(Debug)]
pub(crate) struct Drained {
    body: Option<hyper::body::Incoming>,
    awaits_continue: bool,
}

impl Drained {
    pub(crate) fn new(request: &Parts, body: hyper::body::Incoming) -> Self {
        Self {
            body: Some(body),
            awaits_continue: request.version >= Version::HTTP_11
                && request.headers.contains_key(header::EXPECT),
        }
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaits_continue = false;
        match &mut self.body {
            None => Poll::Ready(None),
            Some(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(HttpBody::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if self.awaits_continue || self.is_end_stream() {
            return;
        }
        let Some(mut body) = self.body.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let drain = async {
                let mut left = DRAIN_BYTES;
                while let Some(Ok(frame)) = body.frame().await {
                    let read = frame.data_ref().map_or(0, |data| data.len() as u64);
                    left = left.saturating_sub(read);
                    if left == 0 {
                        break;
                    }
                }
            };
            // On a timeout, hyper closes the connection.
            let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
        });
    }
}
