//! `/retention/{app}`: what of an app is kept, and how much there may be.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use repository_api::AppName;

use super::{Names, TEXT, answer, tag_of, tagged};
use crate::Repository;
use crate::domain::catalogue::{Decision, Event};
use crate::domain::completion::to_the_end;
use crate::domain::policy::Policy;
use crate::http::access::Who;
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::receive;

/// What of an app is kept.
#[utoipa::path(
    get,
    path = "/retention/{app}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
    ),
    responses(
        (status = 200, description = "Words such as keep=10", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app).await?;
    let text = entry.read(|state| state.policy.to_string());
    tagged(&headers, TEXT, &tag_of(text.as_bytes()), text)
}

/// Says what of an app is kept from now on.
#[utoipa::path(
    put,
    path = "/retention/{app}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
    ),
    request_body(content = Option<String>, content_type = "text/plain", description = "Words such as keep=10 keep-for=720h quota=20GiB"),
    responses(
        (status = 200, description = "It is so already", body = String, content_type = "text/plain"),
        (status = 201, description = "It is so now", body = String, content_type = "text/plain"),
        (status = 204, description = "It is so now"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
        openapi::Body,
        openapi::Unusable,
    )
)]
pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let body = receive::small(&repository, &parts.headers, body, 4096).await?;
    let policy: Policy = std::str::from_utf8(&body)
        .unwrap_or("not text")
        .parse()
        .map_err(|reason| Failure::unprocessable(format!("the body is no policy: {reason}")))?;
    to_the_end(async move {
        let entry = repository.catalogue.known(&app).await?;
        let status = entry
            .commit(&repository.storage, &by, |state| {
                if state.policy == policy {
                    return Ok(Decision::Settled(StatusCode::OK));
                }
                let policy = policy.clone();
                Ok(Decision::Append(
                    vec![Event::Retain { policy }],
                    StatusCode::CREATED,
                ))
            })
            .await?;
        Ok(answer(status, TEXT, policy.to_string()))
    })
    .await
}
