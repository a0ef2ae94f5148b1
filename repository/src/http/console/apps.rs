//! `/`: every app that the user may read, with what its channels run.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, header};
use maud::{Markup, html};
use repository_api::{AppName, ChannelName, VersionName};

use super::Shown;
use super::elements::{command, done, empty, next_page, release, version};
use super::page;
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::scope::Need;
use crate::domain::state::app::AppState;
use crate::http::answer::{JSON, json, tagged_by_digest, text_value};
use crate::http::negotiate::{self, Form};

/// Apps on a page.
const LIMIT: usize = 100;

/// Channels of an app that are shown here.
const CHANNELS: usize = 10;

/// Apps that are read from the store at once.
const PARALLEL: usize = 16;

struct Row {
    app: AppName,
    /// `None` if the app could not be read.
    summary: Option<Summary>,
}

struct Summary {
    latest: Option<VersionName>,
    channels: Vec<(ChannelName, u64, Option<VersionName>)>,
    /// Channels that are not shown.
    more: usize,
    last: Option<(String, String)>,
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
            more: state.channels.len().saturating_sub(CHANNELS),
            last: state
                .last
                .as_ref()
                .map(|(at, by)| (at.clone(), by.to_string())),
        }
    }
}

/// The console in a browser; for scripts, where the API begins.
pub(super) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    headers: HeaderMap,
    visit: Visit,
) -> Shown {
    if negotiate::form(&headers, Form::Json) == Form::Html {
        return show(&catalogue, &visit).await;
    }
    let text = json(&serde_json::json!({ "artefacts": "/artefacts/", "api": "/openapi.json" }));
    let mut response: Response = tagged_by_digest(&headers, JSON, text)?;
    response
        .headers_mut()
        .insert(header::VARY, text_value("Accept"));
    Ok(response)
}

async fn show(catalogue: &Catalogue, visit: &Visit) -> Shown {
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
            label.hidden for="q" { "Find an app" }
            input #q type="search" name="q" value=(query) placeholder={ "Find one of " (total) };
            button.quiet type="submit" { "Find" }
        }
    };
    let main = html! {
        @if total == 0 {
            (empty("There is no app here, or none that your token covers. The first upload makes one:"))
            (command("Publish", &format!(
                "curl --fail-with-body{} -T hello-world-1.0.0.tar.gz {}/artefacts/hello-world/1.0.0/",
                visit.credentials(), visit.base
            )))
        } @else if rows.is_empty() {
            (empty("No app's name has that in it."))
        } @else {
            (table(&rows))
            (next_page(next.as_deref()))
        }
        p.aside { a href="/apps/_default/config/_default.config" { "The config under every app" } }
    };
    // The stream of all apps needs the right to read all of them.
    let events = visit.may(&Need::Read(None)).then_some("/events");
    Ok(page::show(visit, "Apps", events, &head, &main))
}

fn table(rows: &[Row]) -> Markup {
    html! {
        table.apps {
            thead { tr {
                th scope="col" { "App" }
                th scope="col" { "Runs" }
                th scope="col" { "Latest" }
                th scope="col" { "Last change" }
            } }
            tbody {
                @for Row { app, summary } in rows {
                    tr {
                        th scope="row" { a href={ "/apps/" (app) } { (app) } }
                        @if let Some(summary) = summary {
                            td data-label="Runs" { (channels(app, summary)) }
                            td data-label="Latest" {
                                @match &summary.latest {
                                    Some(latest) => (version(latest)),
                                    None => span.none { "none" },
                                }
                            }
                            td data-label="Last change" {
                                @if let Some((at, by)) = &summary.last { (done(at, by)) }
                            }
                        } @else {
                            td colspan="3" { span.bad { "it cannot be read now: the log of the repository says why" } }
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
            @if summary.more > 0 { li { a href={ "/apps/" (app) } { "and " (summary.more) " more" } } }
        }
    }
}
