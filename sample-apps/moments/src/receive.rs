//! Reads a request body, within a limit of size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::StatusCode;
use tokio::time::timeout;

use crate::refusal::Refusal;

/// Enough for a picture from a phone on a slow network.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The excess of a large body is read and discarded, so that the client sees the answer instead of a reset.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn body(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let receive = async {
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| {
                Refusal::new(StatusCode::BAD_REQUEST, "the request body is incomplete")
            })?;
            if bytes.len() + chunk.len() > limit {
                return Ok(false);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(true)
    };
    match timeout(TIMEOUT, receive).await {
        Ok(Ok(true)) => Ok(bytes.freeze()),
        Ok(Ok(false)) => {
            let drain = async {
                let mut left = DRAIN_BYTES;
                while let Some(Ok(chunk)) = stream.next().await {
                    left = left.saturating_sub(chunk.len());
                    if left == 0 {
                        break;
                    }
                }
            };
            let _ = timeout(DRAIN_TIMEOUT, drain).await;
            let limit = if limit >= 1 << 20 {
                format!("{} MiB", limit >> 20)
            } else {
                format!("{limit} bytes")
            };
            Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is too large: the limit is {limit}"),
            ))
        }
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the upload took longer than a minute",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_up_to_the_limit_are_accepted() {
        for (length, is_accepted) in [(0, true), (9, true), (10, true), (11, false)] {
            let received = body(Body::from(vec![0; length]), 10).await;
            assert_eq!(received.is_ok(), is_accepted, "{length}");
        }
    }
}
