//! Failures as clients read them: a status and a problem document (RFC 9457). [`From<Error>`] maps each domain error to
//! a status and adds the next step. The log gets another message: a 5xx answer says nothing about the inside.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use repository_api::Problem;
use repository_api::problem::MEDIA_TYPE;

use crate::domain::error::{Error, Unreleasable};
use crate::http::etag;
use crate::storage::StorageError;

/// A status, and one clear sentence with the next step.
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

    /// The line of a refused config, masked, with a caret below the place.
    pub(crate) fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// How long the client should wait before it tries again.
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

/// What the client can do about an error, in terms of this API.
fn next_step(error: &Error) -> Option<String> {
    Some(match error {
        Error::Contended | Error::Interrupted => "; try again".to_owned(),
        Error::UnreadableKeys => "; the repository's log says why".to_owned(),
        Error::UploadExpired => "; send it again".to_owned(),
        Error::OverQuota { app, .. } => {
            format!(": purge what is not needed, or raise its quota with PUT /retention/{app}")
        }
        Error::InvalidDefaultLayer => ": write /config/_default/_default.config".to_owned(),
        Error::UnknownApp(app) | Error::NoVersion(app) => {
            format!(": publish one with PUT /artefacts/{app}/VERSION/FILE")
        }
        Error::UnknownVersion { app, version } => format!(
            ": GET /artefacts/{app}/ lists its versions, PUT /artefacts/{app}/{version}/FILE publishes this one"
        ),
        Error::Purged { .. } => "; publish and ask for another version".to_owned(),
        Error::NoLatest(app) => format!("; ask for one by name, as in {app}@1.0.0-rc.1"),
        Error::UnknownChannel { app, channel, .. } => {
            format!(": point it at a version with PUT /channels/{app}/{channel}")
        }
        Error::UnknownRelease { app, .. } | Error::UnknownTarget { app, .. } => {
            format!(": GET /releases/{app}/ lists its releases")
        }
        Error::NotSigned { app, release } => format!(
            ": sign GET /releases/{app}/{release}?statement with minisign -Sm, and PUT the .minisig file here"
        ),
        Error::UnknownGeneration { .. } => {
            ": ask without ?generation for the newest, whose number is in its entity tag".to_owned()
        }
        Error::NoConfig(app) => format!(": write it with PUT /config/{app}/{app}.config"),
        Error::FileDiffers { .. } => "; artefacts never change, publish a new version".to_owned(),
        Error::Sealed { .. } => "; publish a new version".to_owned(),
        Error::VersionInUse { app, channel, .. } => {
            format!(": point it elsewhere first, with PUT /channels/{app}/{channel}")
        }
        Error::AlreadySigned { .. } => ": make another release if it is the wrong one".to_owned(),
        Error::StaleLayer { current: None } => {
            ": it does not exist yet; write it without If-Match".to_owned()
        }
        Error::StaleLayer {
            current: Some(current),
        } => {
            let tag = etag::generation(*current);
            format!(
                ", and is at {tag}: read it, merge its changes into yours, and write with If-Match: {tag}"
            )
        }
        Error::StaleChannel { current: None, .. } => {
            ": it does not exist yet; point it at a version without If-Match".to_owned()
        }
        Error::StaleChannel {
            current: Some(current),
            ..
        } => {
            let tag = etag::channel_move(*current);
            format!(", and is at {tag}: read it again before you move it")
        }
        Error::NotATarget(_) => ": send one of them, such as 1.0.0 or r41".to_owned(),
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
                ": undo that with PUT /artefacts/{app}/{version}/yanked and the body false, or release another version"
            ),
        },
        Error::NoTrustedKeys { .. } => {
            ": set REPOSITORY_TRUSTED_KEYS_FILE to a file of minisign's public keys".to_owned()
        }
        Error::UnsignedVersion { channel, .. } => format!(
            ": point another channel at the version, sign the release that this makes, and point {channel} at the release"
        ),
        Error::UntrustedRelease { app, release, .. } => {
            format!("; sign GET /releases/{app}/r{release}?statement")
        }
        Error::NotASignature => ": send the .minisig file that minisign -Sm wrote".to_owned(),
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
                "the repository's disk is full, and nothing was written: free some space and try again",
            );
        }
        tracing::error!(error = %error.chain(), "storage failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the repository's storage failed: you can repeat the request as it is; the repository's log says what failed",
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be repeated as it is is answered with 5xx, and with the quota's 507; a refusal with 4xx.
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
            (Error::Contended, 503, "try again"),
            (Error::UnreadableKeys, 500, "log says why"),
        ] {
            let is_refusal = error.is_refusal();
            let failure = Failure::from(error);
            assert_eq!(failure.status.as_u16(), status, "{}", failure.detail);
            assert_eq!(failure.status.is_client_error(), is_refusal);
            assert!(failure.detail.contains(step), "{}", failure.detail);
        }
    }

    #[test]
    fn an_answer_says_nothing_about_the_inside() {
        let key = "apps/hello/log/0000000007.json".to_owned();
        let failure = Failure::from(Error::from(StorageError::Missing { key }));
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!failure.detail.contains("apps/hello"), "{}", failure.detail);
    }
}
