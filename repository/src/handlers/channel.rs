//! `/channels/{app}/{channel}`: the one mutable thing, with its history.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber, VersionName};
use serde::Serialize;

use super::listing::{Page, paged};
use super::release::{line, line_answer};
use super::{JSON, Names, TEXT, answer, json, tagged, text_value};
use crate::access::Who;
use crate::catalogue::{AppState, Decision, Event, MoveRecord};
use crate::conditional::{self, Outcome};
use crate::failure::Failure;
use crate::negotiate::{self, Form};
use crate::releases::{self, unknown_channel};
use crate::to_the_end::to_the_end;
use crate::{Repository, receive};

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
    let entry = repository.catalogue.known(&app).await?;
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
    let rows: Vec<serde_json::Value> = repository.catalogue.known(&app).await?.read(|state| {
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
    let entry = repository.catalogue.known(&app).await?;
    let moves: Vec<Moved> = entry.read(|state| {
        let moves = state
            .channels
            .get(&channel)
            .ok_or_else(|| unknown_channel(&app, &channel, state))?;
        let moved = |entry: &MoveRecord| Moved {
            at: entry.created.clone(),
            by: entry.by.to_string(),
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
    let by = Who::of(&parts.extensions);
    let body = receive::small(&repository, &parts.headers, body, 4096).await?;
    let target = target(&body)?;
    to_the_end(
        async move { point(&repository, &app, &channel, &parts.headers, &target, &by).await },
    )
    .await
}

async fn point(
    repository: &Repository,
    app: &AppName,
    channel: &ChannelName,
    headers: &HeaderMap,
    target: &Target,
    by: &str,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(app).await?;
    let default = repository.catalogue.default_layer().await?;
    let default_pins = default.read(AppState::pins);
    default.make_durable(&repository.storage).await?;
    let (status, release, moved) = entry
        .commit(&repository.storage, by, |state| {
            let current = state
                .channel(channel)
                .map(|(moved, entry)| (moved, entry.release));
            refuse_stale(app, channel, headers, current.map(|(moved, _)| moved))?;
            let now = current.map(|(_, release)| release);
            let (made, release) = match target {
                Target::Version(version) => {
                    releases::make(app, state, version, default_pins.clone(), now)?
                }
                Target::Release(number) => (None, existing(app, state, *number)?),
            };
            match current {
                Some((moved, now)) if now == release => {
                    Ok(Decision::Settled((StatusCode::OK, release, moved)))
                }
                current => {
                    let moved = current.map_or(1, |(moved, _)| moved + 1);
                    let channel = channel.clone();
                    let events = made.into_iter().chain([Event::Move { channel, release }]);
                    let outcome = (StatusCode::CREATED, release, moved);
                    Ok(Decision::Append(events.collect(), outcome))
                }
            }
        })
        .await?;
    let mut response = line_answer(status, release);
    response
        .headers_mut()
        .insert(header::ETAG, text_value(&etag(moved)));
    Ok(response)
}

/// 412 where the request's conditions do not hold.
fn refuse_stale(
    app: &AppName,
    channel: &ChannelName,
    headers: &HeaderMap,
    moved: Option<u64>,
) -> Result<(), Failure> {
    if holds(headers, moved) {
        return Ok(());
    }
    Err(Failure::precondition(match moved.map(etag) {
        Some(tag) => {
            format!("channel {channel} of {app} is at {tag}: look at it again before you move it")
        }
        None => format!("{app} has no channel {channel} yet: move it without If-Match"),
    }))
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

/// What a channel is pointed at.
enum Target {
    Version(VersionName),
    Release(ReleaseNumber),
}

/// What a body of a line of text names.
fn target(body: &[u8]) -> Result<Target, Failure> {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let target = text.parse::<Reference>().map_err(|error| {
        Failure::unprocessable(format!("the body names no version and no release: {error}"))
    })?;
    match target {
        Reference::Version(version) => Ok(Target::Version(version)),
        Reference::Release(release) => Ok(Target::Release(release)),
        Reference::Latest | Reference::Channel(_) => Err(Failure::unprocessable(format!(
            "{text} is no version and no release: send one of them, such as 1.0.0 or r41"
        ))),
    }
}

/// 422 for a release that is not there, or whose version was yanked or purged.
fn existing(app: &AppName, state: &AppState, number: ReleaseNumber) -> Result<u64, Failure> {
    let Some(release) = state.releases.get(&number.get()) else {
        return Err(Failure::unprocessable(format!(
            "{app} has no release {number}: GET /releases/{app}/ lists those there are"
        )));
    };
    releases::refuse_unreleasable(app, state, &release.statement.version).map_err(|failure| {
        Failure::unprocessable(format!(
            "{number} cannot be released again: {}",
            failure.detail
        ))
    })?;
    Ok(number.get())
}
