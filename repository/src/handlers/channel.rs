//! `/channels/{app}/{channel}`: the one mutable thing, with its history.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber};
use serde::Serialize;

use super::listing::{Page, paged};
use super::release::{line, line_answer};
use super::{JSON, Names, TEXT, answer, json, tagged, text_value};
use crate::catalogue::{AppEntry, MoveRecord};
use crate::conditional::{self, Outcome};
use crate::failure::Failure;
use crate::negotiate::{self, Form};
use crate::releases::{self, contended, unknown_channel};
use crate::storage::keys;
use crate::storage::record::Created;
use crate::to_the_end::to_the_end;
use crate::{Repository, receive, timestamp};

/// Counts moves, not releases: a channel that went away and came back has moved.
fn etag(moved: u64) -> String {
    format!("\"m{moved}\"")
}

/// The same pointer in other bytes needs a strong tag of its own.
fn etag_of_json(moved: u64) -> String {
    format!("\"m{moved}.json\"")
}

#[derive(Serialize)]
struct Pointer {
    app: AppName,
    channel: ChannelName,
    release: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    moved: String,
}

pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app)?;
    let (moved, pointer, number) = entry.read(|state| {
        let (moved, entry) = state
            .channel(&channel)
            .ok_or_else(|| unknown_channel(&app, &channel, state))?;
        let version = state
            .releases
            .get(&entry.release)
            .map(|release| release.statement.version.to_string());
        let pointer = Pointer {
            app: app.clone(),
            channel: channel.clone(),
            release: format!("r{}", entry.release),
            version,
            moved: entry.created.clone(),
        };
        Ok::<_, Failure>((moved, pointer, entry.release))
    })?;
    let mut response = match negotiate::form(&headers, Form::Text) {
        Form::Json => tagged(&headers, JSON, &etag_of_json(moved), json(&pointer)),
        Form::Text | Form::Html => tagged(&headers, TEXT, &etag(moved), line(number)),
    }?;
    response
        .headers_mut()
        .insert(header::VARY, text_value("Accept"));
    Ok(response)
}

pub(crate) async fn list(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    uri: Uri,
) -> Result<Response, Failure> {
    let page = Page::read(&uri)?;
    let rows: Vec<serde_json::Value> = repository.catalogue.known(&app)?.read(|state| {
        state
            .channels
            .keys()
            .filter(|channel| page.is_after(channel.as_str()))
            .filter_map(|channel| {
                let (_, entry) = state.channel(channel)?;
                Some(serde_json::json!({ "channel": channel, "release": format!("r{}", entry.release) }))
            })
            .take(page.limit + 1)
            .collect()
    });
    let key = |row: &serde_json::Value| row["channel"].as_str().unwrap_or_default().to_owned();
    Ok(paged(
        &format!("/channels/{app}/"),
        &page,
        rows,
        key,
        |rows| {
            answer(
                StatusCode::OK,
                JSON,
                json(&serde_json::json!({ "app": app, "channels": rows })),
            )
        },
    ))
}

#[derive(Serialize)]
struct Moved {
    at: String,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
}

/// Newest first.
pub(crate) async fn history(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app)?;
    let moves: Vec<Moved> = entry.read(|state| {
        let moves = state
            .channels
            .get(&channel)
            .ok_or_else(|| unknown_channel(&app, &channel, state))?;
        let moved = |entry: &MoveRecord| Moved {
            at: entry.created.clone(),
            by: entry.by.clone(),
            from: entry.from.map(|from| format!("r{from}")),
            to: format!("r{}", entry.release),
        };
        Ok::<_, Failure>(moves.values().rev().map(moved).collect())
    })?;
    Ok(answer(
        StatusCode::OK,
        JSON,
        json(&serde_json::json!({ "app": app, "channel": channel, "history": moves })),
    ))
}

pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let body = receive::small(&repository, &parts.headers, body, 4096).await?;
    let target = target(&body)?;
    to_the_end(async move { point(&repository, &app, &channel, &parts.headers, &target).await })
        .await
}

async fn point(
    repository: &Repository,
    app: &AppName,
    channel: &ChannelName,
    headers: &HeaderMap,
    target: &Reference,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(app)?;
    let _writing = entry.writing.lock().await;
    for _ in 0..100 {
        let current = entry.read(|state| {
            state
                .channel(channel)
                .map(|(moved, entry)| (moved, entry.release))
        });
        let tag = current.map(|(moved, _)| etag(moved));
        if !holds(headers, current.map(|(moved, _)| moved)) {
            return Err(Failure::precondition(match tag {
                Some(tag) => format!(
                    "channel {channel} of {app} is at {tag}: look at it again before you move it"
                ),
                None => format!("{app} has no channel {channel} yet: move it without If-Match"),
            }));
        }
        let from = current.map(|(_, release)| release);
        let release = release_of(repository, app, &entry, target, from).await?;
        let status = match current {
            Some((moved, now)) if now == release => {
                let mut response = line_answer(StatusCode::OK, release);
                response
                    .headers_mut()
                    .insert(header::ETAG, text_value(&etag(moved)));
                return Ok(response);
            }
            _ => StatusCode::CREATED,
        };
        let number = current.map_or(1, |(moved, _)| moved + 1);
        let record = MoveRecord {
            release,
            from,
            by: "anonymous".to_owned(),
            created: timestamp::now(),
        };
        match repository
            .storage
            .append(&keys::channel(app, channel), number, &record)
            .await?
        {
            Created::Now => {
                entry.write(|state| {
                    state
                        .channels
                        .entry(channel.clone())
                        .or_default()
                        .insert(number, record)
                });
                let mut response = line_answer(status, release);
                response
                    .headers_mut()
                    .insert(header::ETAG, text_value(&etag(number)));
                return Ok(response);
            }
            Created::Already => entry.reload(&repository.storage, app.as_str()).await?,
        }
    }
    Err(contended())
}

/// Whether the request's conditions hold for the tag of either form.
fn holds(headers: &HeaderMap, moved: Option<u64>) -> bool {
    let proceeds = |tag: Option<&str>| conditional::evaluate(headers, tag) == Outcome::Proceed;
    match moved {
        None => proceeds(None),
        Some(moved) if headers.contains_key(header::IF_MATCH) => {
            proceeds(Some(&etag(moved))) || proceeds(Some(&etag_of_json(moved)))
        }
        Some(moved) => proceeds(Some(&etag(moved))),
    }
}

/// A version or a release: what a body of a line of text names.
fn target(body: &[u8]) -> Result<Reference, Failure> {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let target = text.parse::<Reference>().map_err(|error| {
        Failure::unprocessable(format!("the body names no version and no release: {error}"))
    })?;
    match target {
        Reference::Version(_) | Reference::Release(_) => Ok(target),
        Reference::Latest | Reference::Channel(_) => Err(Failure::unprocessable(format!(
            "{text} is no version and no release: send one of them, such as 1.0.0 or r41"
        ))),
    }
}

async fn release_of(
    repository: &Repository,
    app: &AppName,
    entry: &AppEntry,
    target: &Reference,
    current: Option<u64>,
) -> Result<u64, Failure> {
    if let Reference::Version(version) = target {
        return releases::create(repository, app, entry, version, current).await;
    }
    let number = match target {
        Reference::Release(number) => *number,
        _ => return Err(Failure::unprocessable("send a version or a release")),
    };
    existing(app, entry, number)
}

/// 422 for a release that is not there, or whose version was yanked.
fn existing(app: &AppName, entry: &AppEntry, number: ReleaseNumber) -> Result<u64, Failure> {
    entry.read(|state| {
        let Some(release) = state.releases.get(&number.get()) else {
            return Err(Failure::unprocessable(format!(
                "{app} has no release {number}: GET /releases/{app}/ lists those there are"
            )));
        };
        let version = &release.statement.version;
        if state.version(version).is_some_and(crate::catalogue::VersionState::is_yanked) {
            return Err(Failure::unprocessable(format!(
                "{number} is a release of {app} {version}, which is yanked: undo that with PUT /artefacts/{app}/{version}/yanked and the body false"
            )));
        }
        Ok(number.get())
    })
}
