//! Extractors that handlers share: names in the path, the app that the path names, the user and body of a write.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use http::HeaderMap;
use http::request::Parts;
use repository_api::{AppName, ChannelName, VersionName};
use serde::de::DeserializeOwned;

use super::access::Identity;
use super::failure::Failure;
use super::receive::{self, BodyLimits};
use crate::domain::catalogue::{AppLog, Catalogue};

/// The names in a path; 400 if a name is invalid.
#[derive(Debug)]
pub(crate) struct Names<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(names)) => Ok(Self(names)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Failure::bad_request(match error.kind() {
                    ErrorKind::Message(message) | ErrorKind::DeserializeError { message, .. } => {
                        message.clone()
                    }
                    other => other.to_string(),
                }))
            }
            Err(other) => Err(Failure::bad_request(other.body_text())),
        }
    }
}

/// The names in a path, and the log of the app that the path begins with; 404 if the app does not exist.
#[derive(Debug)]
pub(crate) struct Known<P>(pub(crate) P, pub(crate) Arc<AppLog>);

/// Path names that begin with an app.
pub(crate) trait AppPath: DeserializeOwned + Send {
    fn app(&self) -> &AppName;
}

impl AppPath for AppName {
    fn app(&self) -> &AppName {
        self
    }
}

impl AppPath for (AppName, ChannelName) {
    fn app(&self) -> &AppName {
        &self.0
    }
}

impl AppPath for (AppName, VersionName) {
    fn app(&self) -> &AppName {
        &self.0
    }
}

impl<S, P> FromRequestParts<S> for Known<P>
where
    S: Send + Sync,
    P: AppPath,
    Arc<Catalogue>: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Names(path) = Names::<P>::from_request_parts(parts, state).await?;
        let log = Arc::<Catalogue>::from_ref(state).known(path.app()).await?;
        Ok(Self(path, log))
    }
}

/// A write request: its user, headers and body.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) by: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) limits: BodyLimits,
}

impl<S> FromRequest<S> for Write
where
    S: Send + Sync,
    BodyLimits: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        Ok(Self {
            by: Identity::name_of(&parts.extensions),
            headers: parts.headers,
            body,
            limits: BodyLimits::from_ref(state),
        })
    }
}

/// Maximum bytes of a short body.
const MAX_SHORT: usize = 4096;

impl Write {
    /// The body; 413 if it has more than `limit` bytes.
    pub(crate) async fn bytes(self, limit: usize) -> Result<Vec<u8>, Failure> {
        receive::small(self.limits, &self.headers, self.body, limit).await
    }

    /// A short body, such as a version name.
    pub(crate) async fn short(self) -> Result<Vec<u8>, Failure> {
        self.bytes(MAX_SHORT).await
    }

    /// A body of `true` or `false`.
    pub(crate) async fn boolean(self) -> Result<bool, Failure> {
        match self.short().await?.trim_ascii() {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(Failure::bad_request("the body must be true or false")),
        }
    }
}
