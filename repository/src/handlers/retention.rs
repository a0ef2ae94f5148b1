//! `/retention/{app}`: what of an app is kept, and how much there may be.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use repository_api::AppName;

use super::{Names, TEXT, answer, tag_of, tagged};
use crate::access::Who;
use crate::catalogue::{Decision, Event};
use crate::failure::Failure;
use crate::retention::Policy;
use crate::to_the_end::to_the_end;
use crate::{Repository, receive};

pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app).await?;
    let text = entry.read(|state| state.policy.to_string());
    tagged(&headers, TEXT, &tag_of(text.as_bytes()), text)
}

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
