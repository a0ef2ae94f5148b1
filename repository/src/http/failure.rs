//! Error responses: a status and a problem document (RFC 9457). [`From<Error>`] maps each domain error to a status and
//! adds the next step. Internal details of a 5xx go to the log and not to the client.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use repository_api::Problem;
use repository_api::problem::MEDIA_TYPE;

use crate::domain::error::{Error, Unreleasable};
use crate::http::etag;
use crate::storage::StorageError;

/// A status, and a sentence that says what failed and what to do next.
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

    /// The refused line of a config with its values masked, and a caret below the error.
    pub(crate) fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// Adds the time that the client should wait before it retries.
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

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::Storage(error) = error {
            return error.into();
        }
        let status = status_of(&error);
        let detail = match next_step(&error) {
            Some(step) => format!("{error}{step}"),
            None => error.to_string(),
        };
        let excerpt = match error {
            Error::InvalidConfig { excerpt, .. } => excerpt,
            _ => None,
        };
        Self {
            excerpt,
            ..Self::new(status, detail)
        }
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::InvalidName(_) | Error::InvalidDefaultLayer | Error::InvalidLayerFile(_) => {
            StatusCode::BAD_REQUEST
        }
        Error::UnknownApp(_)
        | Error::UnknownVersion { .. }
        | Error::UnknownFile { .. }
        | Error::NoVersion(_)
        | Error::NoLatest(_)
        | Error::UnknownChannel { .. }
        | Error::UnknownRelease { .. }
        | Error::NotSigned { .. }
        | Error::UnknownGeneration { .. }
        | Error::NoConfig(_)
        | Error::UnknownToken(_) => StatusCode::NOT_FOUND,
        Error::FileDiffers { .. }
        | Error::Sealed { .. }
        | Error::VersionInUse { .. }
        | Error::AlreadySigned { .. }
        | Error::TokenExists(_) => StatusCode::CONFLICT,
        Error::Purged { .. } => StatusCode::GONE,
        Error::StaleLayer { .. } | Error::StaleChannel { .. } => StatusCode::PRECONDITION_FAILED,
        Error::InvalidConfig { .. }
        | Error::InvalidLayer { .. }
        | Error::NotUtf8(_)
        | Error::InvalidTarget(_)
        | Error::NotATarget(_)
        | Error::UnknownTarget { .. }
        | Error::Unreleasable { .. }
        | Error::NoTrustedKeys { .. }
        | Error::UnsignedVersion { .. }
        | Error::UntrustedRelease { .. }
        | Error::NotASignature
        | Error::OldSignature => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Storage(_) | Error::Interrupted | Error::UnreadableKeys => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Error::Contended | Error::UploadExpired => StatusCode::SERVICE_UNAVAILABLE,
        Error::OverQuota { .. } => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The next step for a client, in terms of the HTTP API.
fn next_step(error: &Error) -> Option<String> {
    Some(match error {
        Error::Contended | Error::Interrupted => "; retry the request".to_owned(),
        Error::UnreadableKeys => "; see the repository's log".to_owned(),
        Error::UploadExpired => "; upload the file again".to_owned(),
        Error::OverQuota { app, .. } => {
            format!(
                ": purge versions that you no longer need, or raise the quota with PUT /retention/{app}"
            )
        }
        Error::InvalidDefaultLayer => ": write it at /config/_default/_default.config".to_owned(),
        Error::UnknownApp(app) | Error::NoVersion(app) => {
            format!(": publish a version with PUT /artefacts/{app}/VERSION/FILE")
        }
        Error::UnknownVersion { app, version } => format!(
            ": list the versions with GET /artefacts/{app}/, or publish this version with PUT /artefacts/{app}/{version}/FILE"
        ),
        Error::Purged { .. } => "; publish another version and request that one".to_owned(),
        Error::NoLatest(app) => format!("; request a version by name, such as {app}@1.0.0-rc.1"),
        Error::UnknownChannel { app, channel, .. } => {
            format!(": point it at a version with PUT /channels/{app}/{channel}")
        }
        Error::UnknownRelease { app, .. } | Error::UnknownTarget { app, .. } => {
            format!(": list its releases with GET /releases/{app}/")
        }
        Error::NotSigned { app, release } => format!(
            ": download the statement with GET /releases/{app}/{release}?statement, sign it with minisign -Sm, and PUT the .minisig file here"
        ),
        Error::UnknownGeneration { .. } => {
            ": request the newest without ?generation; its entity tag holds the number".to_owned()
        }
        Error::NoConfig(app) => format!(": write one with PUT /config/{app}/{app}.config"),
        Error::FileDiffers { .. } => "; artefacts are immutable, publish a new version".to_owned(),
        Error::Sealed { .. } => "; publish a new version".to_owned(),
        Error::VersionInUse { app, channel, .. } => {
            format!(
                ": first point the channel at another release with PUT /channels/{app}/{channel}"
            )
        }
        Error::AlreadySigned { .. } => {
            ": create another release if the signature is wrong".to_owned()
        }
        Error::StaleLayer { current: None } => {
            ": the layer does not exist yet; write it without If-Match".to_owned()
        }
        Error::StaleLayer {
            current: Some(current),
        } => {
            let tag = etag::generation(*current);
            format!(" to {tag}: merge its changes into yours, and retry with If-Match: {tag}")
        }
        Error::StaleChannel { current: None, .. } => {
            ": the channel does not exist yet; create it without If-Match".to_owned()
        }
        Error::StaleChannel {
            current: Some(current),
            ..
        } => {
            let tag = etag::channel_move(*current);
            format!(" to {tag}: read the current channel, and retry with If-Match: {tag}")
        }
        Error::NotATarget(_) => ": send a version or a release, such as 1.0.0 or r41".to_owned(),
        Error::Unreleasable {
            app,
            version,
            reason,
            ..
        } => match reason {
            Unreleasable::Unknown => {
                format!(": publish it with PUT /artefacts/{app}/{version}/FILE")
            }
            Unreleasable::Purged => "; release another version".to_owned(),
            Unreleasable::Yanked => format!(
                ": undo the yank with PUT /artefacts/{app}/{version}/yanked and the body false, or release another version"
            ),
        },
        Error::NoTrustedKeys { .. } => {
            ": set REPOSITORY_TRUSTED_KEYS_FILE to a file with minisign public keys".to_owned()
        }
        Error::UnsignedVersion { channel, .. } => format!(
            ": point another channel at the version, sign the release that this creates, and point {channel} at the release"
        ),
        Error::UntrustedRelease { app, release, .. } => {
            format!(
                "; download the statement with GET /releases/{app}/r{release}?statement and sign it"
            )
        }
        Error::NotASignature => ": send the .minisig file that minisign -Sm writes".to_owned(),
        Error::OldSignature => ": sign with minisign 0.10 or later, or with -H".to_owned(),
        Error::Storage(_)
        | Error::InvalidName(_)
        | Error::InvalidLayerFile(_)
        | Error::UnknownFile { .. }
        | Error::TokenExists(_)
        | Error::UnknownToken(_)
        | Error::InvalidConfig { .. }
        | Error::InvalidLayer { .. }
        | Error::NotUtf8(_)
        | Error::InvalidTarget(_) => return None,
    })
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        if error.is_full() {
            return Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "the repository's disk is full, and nothing was written: free some space and retry",
            );
        }
        tracing::error!(error = %error.chain(), "storage failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the repository's storage failed: retry the request, and see the repository's log for the cause",
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
        // The line feed keeps the shell prompt on its own line.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Refusals have a 4xx status; errors that a retry may fix have a 5xx status.
    #[test]
    fn statuses_agree_with_refusals() {
        let app = || "hello".parse().unwrap();
        let version = || "1.0.0".parse().unwrap();
        let channel = || "stable".parse().unwrap();
        for (error, status, step) in [
            (Error::UnknownApp(app()), 404, "PUT /artefacts/hello/"),
            (
                Error::Purged {
                    app: app(),
                    version: version(),
                },
                410,
                "another version",
            ),
            (
                Error::VersionInUse {
                    app: app(),
                    version: version(),
                    channel: channel(),
                },
                409,
                "PUT /channels/hello/stable",
            ),
            (
                Error::StaleLayer { current: Some(7) },
                412,
                "If-Match: \"g7\"",
            ),
            (
                Error::Unreleasable {
                    app: app(),
                    version: version(),
                    reason: Unreleasable::Yanked,
                    release: None,
                },
                422,
                "yanked and the body false",
            ),
            (Error::Contended, 503, "retry the request"),
            (Error::UnreadableKeys, 500, "see the repository's log"),
        ] {
            let is_refusal = error.is_refusal();
            let failure = Failure::from(error);
            assert_eq!(failure.status.as_u16(), status, "{}", failure.detail);
            assert_eq!(failure.status.is_client_error(), is_refusal);
            assert!(failure.detail.contains(step), "{}", failure.detail);
        }
    }

    #[test]
    fn a_server_error_hides_internal_details() {
        let key = "apps/hello/log/0000000007.json".to_owned();
        let failure = Failure::from(Error::from(StorageError::Missing { key }));
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!failure.detail.contains("apps/hello"), "{}", failure.detail);
    }
}
