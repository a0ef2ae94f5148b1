//! `/`: the apps that the user may read, with their channels.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, header};
use maud::{Markup, html};
use repository_api::{AppName, ChannelName, VersionName};

use super::PageResult;
use super::elements::{attribution, command, empty, next_page, release, version};
use super::page;
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::scope::Need;
use crate::domain::state::app::AppState;
use crate::http::negotiate::{self, Format};
use crate::http::response::{JSON, json, tagged_by_digest, text_value};

/// Maximum apps on a page.
const LIMIT: usize = 100;

/// Maximum channels shown per app.
const CHANNELS: usize = 10;

/// Maximum apps to read from the store in parallel.
const PARALLEL: usize = 16;

struct Row {
    app: AppName,
    /// `None` if the app could not be read.
    summary: Option<Summary>,
}

struct Summary {
    latest: Option<VersionName>,
    channels: Vec<(ChannelName, u64, Option<VersionName>)>,
    /// Number of channels that are not shown.
    hidden: usize,
    /// Time and author of the last change.
    last_change: Option<(String, String)>,
}

impl Summary {
    fn of(state: &AppState) -> Self {
        let channels = state.channels.keys().filter_map(|channel| {
            let (_, entry) = state.channel(channel)?;
            let version = state
                .releases
                .get(&entry.release)
                .map(|release| release.statement.version.clone());
            Some((channel.clone(), entry.release, version))
        });
        Self {
            latest: state.latest().cloned(),
            channels: channels.take(CHANNELS).collect(),
            hidden: state.channels.len().saturating_sub(CHANNELS),
            last_change: state
                .last
                .as_ref()
                .map(|(at, by)| (at.clone(), by.to_string())),
        }
    }
}

/// The start page for browsers; links to the API for other clients.
pub(super) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    headers: HeaderMap,
    visit: Visit,
) -> PageResult {
    if negotiate::preferred_format(&headers, Format::Json) == Format::Html {
        return show(&catalogue, &visit).await;
    }
    let text = json(&serde_json::json!({ "artefacts": "/artefacts/", "api": "/openapi.json" }));
    let mut response: Response = tagged_by_digest(&headers, JSON, text)?;
    response
        .headers_mut()
        .insert(header::VARY, text_value("Accept"));
    Ok(response)
}

async fn show(catalogue: &Catalogue, visit: &Visit) -> PageResult {
    let query = visit.parameter("q").unwrap_or_default();
    let after = visit.parameter("after").unwrap_or_default();
    let names = catalogue.names_after(None, usize::MAX).await?;
    let readable: Vec<AppName> = names
        .into_iter()
        .filter(|app| visit.may_read(app))
        .collect();
    let total = readable.len();
    let mut found: Vec<AppName> = readable
        .into_iter()
        .filter(|app| app.as_str().contains(query.trim()) && app.as_str() > after.as_str())
        .take(LIMIT + 1)
        .collect();
    let next = (found.len() > LIMIT).then(|| {
        found.truncate(LIMIT);
        let last = found.last().map_or("", AppName::as_str);
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        format!("/?q={query}&after={last}")
    });
    let rows: Vec<Row> = stream::iter(found)
        .map(|app| async {
            let entry = catalogue.app(&app).await;
            let summary = entry.ok().flatten().map(|entry| entry.read(Summary::of));
            Row { app, summary }
        })
        .buffered(PARALLEL)
        .collect()
        .await;
    let head = html! {
        h1 { "Apps" }
        form.search role="search" method="get" action="/" {
            label.hidden for="q" { "Search apps" }
            input #q type="search" name="q" value=(query) placeholder={ "Search " (total) " apps" };
            button.quiet type="submit" { "Search" }
        }
    };
    let main = html! {
        @if total == 0 {
            (empty("No apps yet, or your token grants access to none. Uploading a first version creates an app:"))
            (command("Publish a first version", &format!(
                "curl --fail-with-body{} -T hello-world-1.0.0.tar.gz {}/artefacts/hello-world/1.0.0/",
                visit.credentials(), visit.base
            )))
        } @else if rows.is_empty() {
            (empty("No app name contains this text."))
        } @else {
            (table(&rows))
            (next_page(next.as_deref()))
        }
        p.aside { a href="/apps/_default/config/_default.config" { "Default config of all apps" } }
    };
    // The event stream of all apps requires permission to read all apps.
    let events = visit.may(&Need::Read(None)).then_some("/events");
    Ok(page::show(visit, "Apps", events, &head, &main))
}

fn table(rows: &[Row]) -> Markup {
    html! {
        table.apps {
            thead { tr {
                th scope="col" { "App" }
                th scope="col" { "Channels" }
                th scope="col" { "Latest" }
                th scope="col" { "Last change" }
            } }
            tbody {
                @for Row { app, summary } in rows {
                    tr {
                        th scope="row" { a href={ "/apps/" (app) } { (app) } }
                        @if let Some(summary) = summary {
                            td data-label="Channels" { (channels(app, summary)) }
                            td data-label="Latest" {
                                @match &summary.latest {
                                    Some(latest) => (version(latest)),
                                    None => span.none { "none" },
                                }
                            }
                            td data-label="Last change" {
                                @if let Some((at, by)) = &summary.last_change { (attribution(at, by)) }
                            }
                        } @else {
                            td colspan="3" { span.bad { "failed to read this app; see the log of the repository" } }
                        }
                    }
                }
            }
        }
    }
}

fn channels(app: &AppName, summary: &Summary) -> Markup {
    html! {
        @if summary.channels.is_empty() { span.none { "no channel" } }
        ul.channels {
            @for (channel, number, runs) in &summary.channels {
                li {
                    a.channel href={ "/apps/" (app) "/channels/" (channel) } { (channel) }
                    " " (release(app, *number))
                    @if let Some(runs) = runs { " " (version(runs)) }
                }
            }
            @if summary.hidden > 0 { li { a href={ "/apps/" (app) } { "and " (summary.hidden) " more" } } }
        }
    }
}
