//! `/channels/{app}/{channel}`: channels and their history.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use repository_api::{AppName, ChannelName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::promote::{KeyFile, Target, promote, restrict};
use crate::domain::state::app::MoveRecord;
use crate::http::extract::{Known, Names, Write};
use crate::http::failure::Failure;
use crate::http::negotiate::{self, Format};
use crate::http::page::Page;
use crate::http::response::{JSON, TEXT, json, respond, tagged, tagged_by_digest, text_value};
use crate::http::{conditional, etag, openapi};

type ChannelPath = (AppName, ChannelName);

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

/// The release that a channel points at: a line of text, or JSON by `Accept`.
#[utoipa::path(
    get,
    path = "/channels/{app}/{channel}",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    responses(
        (status = 200, description = "The release that the channel points at", content((String = "text/plain"), (Pointer = "application/json"))),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    Known((app, channel), log): Known<ChannelPath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (number, pointer) = log.read(|state| {
        let (number, moved) = state.existing_channel(&app, &channel)?;
        let release = state.releases.get(&moved.release);
        let pointer = Pointer {
            release: format!("r{}", moved.release),
            version: release.map(|release| release.statement.version.to_string()),
            moved: moved.created.clone(),
            signed_only: state.signed_only.contains(&channel),
            app: app.clone(),
            channel: channel.clone(),
        };
        Ok::<_, Error>((number, pointer))
    })?;
    let mut response = match negotiate::preferred_format(&headers, Format::Text) {
        Format::Json => {
            let tag = etag::channel_move_json(number);
            tagged(&headers, JSON, &tag, json(&pointer))
        }
        Format::Text | Format::Html => {
            let tag = etag::channel_move(number);
            tagged(&headers, TEXT, &tag, format!("{}\n", pointer.release))
        }
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
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Maximum rows of a page"),
        ("after" = Option<String>, Query, description = "The last channel of the previous page"),
    ),
    responses(
        (status = 200, description = "Channels, by name", body = Channels),
        openapi::Refused,
        openapi::Missing,
    )
)]
pub(crate) async fn list(Known(app, log): Known<AppName>, page: Page) -> Result<Response, Failure> {
    let rows: Vec<ListedChannel> = log.read(|state| {
        state
            .channels
            .keys()
            .filter(|channel| page.is_after(channel.as_str()))
            .filter_map(|channel| {
                let (_, moved) = state.channel(channel)?;
                Some(ListedChannel {
                    channel: channel.clone(),
                    release: format!("r{}", moved.release),
                })
            })
            .take(page.rows())
            .collect()
    });
    page.json(
        rows,
        |row| row.channel.to_string(),
        |channels| Channels { app, channels },
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

/// The moves of a channel with author, time, old and new release; newest first.
#[utoipa::path(
    get,
    path = "/channels/{app}/{channel}/history",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    responses(
        (status = 200, description = "The moves of the channel", body = Moves),
        openapi::Refused,
        openapi::Missing,
    )
)]
pub(crate) async fn history(
    Known((app, channel), log): Known<ChannelPath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let history: Vec<Moved> = log.read(|state| {
        let moves = state
            .channels
            .get(&channel)
            .ok_or_else(|| state.unknown_channel(&app, &channel))?;
        let moved = |entry: &MoveRecord| Moved {
            at: entry.created.clone(),
            by: entry.by.to_string(),
            from: entry.from.map(|from| format!("r{from}")),
            to: format!("r{}", entry.release),
        };
        Ok::<_, Error>(moves.values().rev().map(moved).collect())
    })?;
    let moves = Moves {
        app,
        channel,
        history,
    };
    tagged_by_digest(&headers, JSON, json(&moves))
}

/// Points a channel at a release, or at a version, which creates a release.
#[utoipa::path(
    put,
    path = "/channels/{app}/{channel}",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
        ("if-match" = Option<String>, Header, description = "The entity tag of the channel that you read"),
    ),
    request_body(content = openapi::Target, content_type = "text/plain", description = "A version, or a release such as r41"),
    responses(
        (status = 200, description = "The channel already points at the release", body = String, content_type = "text/plain"),
        (status = 201, description = "The channel now points at the release", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
        openapi::Body,
        openapi::Unprocessable,
    )
)]
pub(crate) async fn put(
    State(catalogue): State<Arc<Catalogue>>,
    State(key_file): State<KeyFile>,
    Names(path): Names<ChannelPath>,
    request: Write,
) -> Result<Response, Failure> {
    let by = request.by.clone();
    let tags = |number| [etag::channel_move(number), etag::channel_move_json(number)];
    let precondition = conditional::precondition(&request.headers, tags);
    let body = request.short().await?;
    let target: Target = std::str::from_utf8(&body)
        .unwrap_or_default()
        .trim()
        .parse()?;
    let moved = promote(&catalogue, &key_file, path, precondition, target, by).await?;
    let status = if moved.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = respond(status, TEXT, format!("r{}\n", moved.release));
    let tag = etag::channel_move(moved.number);
    response
        .headers_mut()
        .insert(header::ETAG, text_value(&tag));
    Ok(response)
}

/// Whether a channel accepts only signed releases.
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
        openapi::Missing,
    )
)]
pub(crate) async fn get_signed_only(Known((_, channel), log): Known<ChannelPath>) -> Response {
    let signed_only = log.read(|state| state.signed_only.contains(&channel));
    let mut response = respond(StatusCode::OK, TEXT, format!("{signed_only}\n"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, text_value("no-cache"));
    response
}

/// Restricts a channel to signed releases, or lifts the restriction.
#[utoipa::path(
    put,
    path = "/channels/{app}/{channel}/signed-only",
    tag = "channels",
    params(
        ("app" = openapi::App, Path),
        ("channel" = openapi::Channel, Path),
    ),
    request_body(content = openapi::Boolean, content_type = "text/plain", description = "true or false"),
    responses(
        (status = 204, description = "The setting is saved"),
        openapi::Refused,
        openapi::Missing,
        openapi::Body,
        openapi::Unprocessable,
    )
)]
pub(crate) async fn put_signed_only(
    State(catalogue): State<Arc<Catalogue>>,
    State(key_file): State<KeyFile>,
    Names(path): Names<ChannelPath>,
    request: Write,
) -> Result<Response, Failure> {
    let by = request.by.clone();
    let signed_only = request.boolean().await?;
    restrict(&catalogue, &key_file, path, signed_only, by).await?;
    Ok(respond(StatusCode::NO_CONTENT, TEXT, ""))
}
