//! A body, up to a limit and within a time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::StatusCode;

use crate::handlers::Refusal;
use crate::stop::at_most;

/// For a picture from a phone that has little of a network.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is read beyond the limit and thrown away, so that its sender sees the answer and not a reset.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The whole body, if it is no longer than `limit`.
pub(crate) async fn body(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let receive = async {
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| {
                Refusal::new(StatusCode::BAD_REQUEST, "the body ended before its end")
            })?;
            if bytes.len() + chunk.len() > limit {
                return Ok(false);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(true)
    };
    match at_most(PATIENCE, receive).await {
        Some(Ok(true)) => Ok(bytes.freeze()),
        Some(Ok(false)) => {
            let drain = async {
                let mut left = DRAIN_BYTES;
                while let Some(Ok(chunk)) = stream.next().await {
                    left = left.saturating_sub(chunk.len());
                    if left == 0 {
                        break;
                    }
                }
            };
            at_most(DRAIN_TIME, drain).await;
            let most = if limit >= 1 << 20 {
                format!("{} MiB", limit >> 20)
            } else {
                format!("{limit} bytes")
            };
            Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("this is too large: {most} at the most"),
            ))
        }
        Some(Err(refusal)) => Err(refusal),
        None => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "this took longer than a minute",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn up_to_the_limit() {
        for (length, is_taken) in [(0, true), (9, true), (10, true), (11, false)] {
            let received = body(Body::from(vec![0; length]), 10).await;
            assert_eq!(received.is_ok(), is_taken, "{length}");
        }
    }
}
