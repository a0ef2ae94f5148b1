//! Yanking: a version leaves `latest` and new releases, and is still fetched by name.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use repository_api::{AppName, VersionName};

use super::{Names, TEXT, answer, has_parameter, tagged};
use crate::catalogue::{VersionState, YankRecord};
use crate::failure::Failure;
use crate::releases::contended;
use crate::storage::keys;
use crate::storage::record::Created;
use crate::to_the_end::to_the_end;
use crate::{Repository, receive, timestamp};

pub(crate) async fn delete(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    if has_parameter(parts.uri.query(), "purge") {
        return Err(Failure::new(
            StatusCode::NOT_IMPLEMENTED,
            "purging is not supported by this version: yank the version with DELETE and no parameter",
        ));
    }
    to_the_end(async move { set(&repository, &app, &version, true).await }).await
}

pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let yanked = match receive::small(&repository, &parts.headers, body, 4096)
        .await?
        .trim_ascii()
    {
        b"true" => true,
        b"false" => false,
        _ => {
            return Err(Failure::bad_request(
                "the body is neither true nor false: send one of them",
            ));
        }
    };
    to_the_end(async move { set(&repository, &app, &version, yanked).await }).await
}

pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app)?;
    let yanked = entry.read(|state| state.version(&version).map(VersionState::is_yanked));
    let yanked = yanked.ok_or_else(|| unknown(&app, &version))?;
    tagged(
        &headers,
        TEXT,
        &format!("\"{yanked}\""),
        format!("{yanked}\n"),
    )
}

fn unknown(app: &AppName, version: &VersionName) -> Failure {
    Failure::not_found(format!(
        "{app} has no version {version}: GET /artefacts/{app}/ lists those there are"
    ))
}

async fn set(
    repository: &Repository,
    app: &AppName,
    version: &VersionName,
    yanked: bool,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(app)?;
    let _writing = entry.writing.lock().await;
    for _ in 0..100 {
        let found = entry.read(|state| {
            state
                .version(version)
                .map(|found| (found.is_yanked(), found.next_yank()))
        });
        let (current, number) = found.ok_or_else(|| unknown(app, version))?;
        if current == yanked {
            return Ok(answer(StatusCode::NO_CONTENT, TEXT, ""));
        }
        if yanked
            && let Some(channel) = entry.read(|state| state.channel_that_names(version).cloned())
        {
            return Err(Failure::conflict(format!(
                "channel {channel} of {app} points at a release of {version}: point it elsewhere first, with PUT /channels/{app}/{channel}"
            )));
        }
        let record = YankRecord {
            yanked,
            created: timestamp::now(),
        };
        match repository
            .storage
            .append(&keys::yanks(app, version), number, &record)
            .await?
        {
            Created::Now => {
                entry.write(|state| {
                    state
                        .versions
                        .entry(version.clone())
                        .or_default()
                        .add_yank(number, record);
                });
                return Ok(answer(StatusCode::NO_CONTENT, TEXT, ""));
            }
            Created::Already => entry.reload(&repository.storage, app.as_str()).await?,
        }
    }
    Err(contended())
}
