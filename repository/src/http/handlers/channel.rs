//! `/channels/{app}/{channel}`: the one mutable thing, with its history.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use repository_api::{AppName, ChannelName};
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Page, paged};
use super::release::{line, line_answer};
use super::{JSON, Names, TEXT, answer, json, tag_of, tagged, text_value};
use crate::Repository;
use crate::domain::catalogue::MoveRecord;
use crate::domain::promote::{Target, etag, etag_of_json, promote, restrict};
use crate::domain::releases::unknown_channel;
use crate::http::access::Who;
use crate::http::failure::Failure;
use crate::http::negotiate::{self, Form};
use crate::http::openapi;
use crate::http::receive;

#[derive(Serialize, ToSchema)]
pub(crate) struct Pointer {
    #[schema(value_type = String)]
    app: AppName,
    #[schema(value_type = String)]
    channel: ChannelName,
    release: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    moved: String,
    signed_only: bool,
}

/// Where a channel points: as a line of text, or JSON by `Accept`.
#[utoipa::path(
    get,
    path = "/channels/{app}/{channel}",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    responses(
        (status = 200, description = "The release", content((String = "text/plain"), (Pointer = "application/json"))),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
    )
)]
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
            signed_only: state.signed_only.contains(&channel),
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

/// The channels of an app.
#[utoipa::path(
    get,
    path = "/channels/{app}/",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Rows of a page"),
        ("after" = Option<String>, Query, description = "The last row of the page before"),
    ),
    responses(
        (status = 200, description = "Channels, by name", body = Channels),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn list(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let page = Page::read(&uri)?;
    let rows: Vec<ListedChannel> = repository.catalogue.known(&app).await?.read(|state| {
        state
            .channels
            .keys()
            .filter(|channel| page.is_after(channel.as_str()))
            .filter_map(|channel| {
                let (_, entry) = state.channel(channel)?;
                Some(ListedChannel {
                    channel: channel.clone(),
                    release: format!("r{}", entry.release),
                })
            })
            .take(page.limit + 1)
            .collect()
    });
    paged(
        (&format!("/channels/{app}/"), &headers),
        &page,
        rows,
        |row| row.channel.to_string(),
        |rows| {
            (
                JSON,
                json(&Channels {
                    app,
                    channels: rows.to_vec(),
                }),
            )
        },
    )
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Moves {
    #[schema(value_type = String)]
    app: AppName,
    #[schema(value_type = String)]
    channel: ChannelName,
    history: Vec<Moved>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Channels {
    #[schema(value_type = String)]
    app: AppName,
    channels: Vec<ListedChannel>,
}

#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct ListedChannel {
    #[schema(value_type = String)]
    channel: ChannelName,
    release: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Moved {
    at: String,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
}

/// Newest first.
/// Who moved a channel, when, from what to what; newest first.
#[utoipa::path(
    get,
    path = "/channels/{app}/{channel}/history",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    responses(
        (status = 200, description = "Moves", body = Moves),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn history(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
    headers: HeaderMap,
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
    let text = json(&Moves {
        app,
        channel,
        history: moves,
    });
    tagged(&headers, JSON, &tag_of(text.as_bytes()), text)
}

/// Points a channel at a version, which makes a release of it, or at a release.
#[utoipa::path(
    put,
    path = "/channels/{app}/{channel}",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
        ("if-match" = Option<String>, Header, description = "The entity tag of the move that was seen"),
    ),
    request_body(content = openapi::Target, content_type = "text/plain", description = "A version, or a release such as r41"),
    responses(
        (status = 200, description = "It points there already", body = String, content_type = "text/plain"),
        (status = 201, description = "It points there now", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
        openapi::Body,
        openapi::Unusable,
    )
)]
pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let body = receive::small(&repository, &parts.headers, body, 4096).await?;
    let target = Target::read(&body)?;
    let moved = promote(repository, app, channel, parts.headers, target, by).await?;
    let status = if moved.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = line_answer(status, moved.release);
    response
        .headers_mut()
        .insert(header::ETAG, text_value(&etag(moved.number)));
    Ok(response)
}

/// Whether the channel takes signed releases only.
#[utoipa::path(
    get,
    path = "/channels/{app}/{channel}/signed-only",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    responses(
        (status = 200, description = "true or false", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn get_signed_only(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(&app).await?;
    let is_so = entry.read(|state| state.signed_only.contains(&channel));
    let mut response = answer(StatusCode::OK, TEXT, format!("{is_so}\n"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, text_value("no-cache"));
    Ok(response)
}

/// Marks a channel as one for signed releases only, or takes the mark away.
#[utoipa::path(
    put,
    path = "/channels/{app}/{channel}/signed-only",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    request_body(content = openapi::Truth, content_type = "text/plain", description = "true or false"),
    responses(
        (status = 204, description = "It is so"),
        openapi::Refused,
        openapi::Absent,
        openapi::Body,
        openapi::Unusable,
    )
)]
pub(crate) async fn put_signed_only(
    State(repository): State<Arc<Repository>>,
    Names((app, channel)): Names<(AppName, ChannelName)>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let signed_only = receive::truth(&repository, &parts.headers, body).await?;
    restrict(repository, app, channel, signed_only, by).await?;
    Ok(answer(StatusCode::NO_CONTENT, TEXT, ""))
}
