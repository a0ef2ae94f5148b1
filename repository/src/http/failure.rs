//! What a client reads when something is refused or fails. What the log says is another matter:
//! an answer of 5xx tells nothing of the inside.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use repository_api::Problem;
use repository_api::problem::MEDIA_TYPE;

use crate::storage::StorageError;

/// A refusal: the status and one clear sentence with the next step.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    retry_after: Option<Duration>,
    excerpt: Option<String>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            excerpt: None,
        }
    }

    /// What is refused, with the place in it.
    pub(crate) fn excerpt(self, excerpt: Option<String>) -> Self {
        Self { excerpt, ..self }
    }

    pub(crate) fn shown_excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// When another attempt may do better.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn precondition(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        if error.is_full() {
            return Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "the repository's disk is full: nothing was written; free some space and try again",
            );
        }
        tracing::error!(error = %error.chain(), "storage failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the repository's storage failed: what it did not acknowledge may be sent again as it is; its log says what failed",
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = Problem {
            title: self
                .status
                .canonical_reason()
                .unwrap_or_default()
                .to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            excerpt: self.excerpt,
        };
        // A line feed at the end: people read this in a terminal.
        let mut text = serde_json::to_string(&problem).unwrap_or_default();
        text.push('\n');
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"repository\""),
            );
        }
        response
    }
}
