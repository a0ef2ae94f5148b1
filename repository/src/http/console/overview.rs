//! `/apps/{app}`: what each channel runs, and the commands for what one does with an app.

use maud::{Markup, html};
use repository_api::units::show_size;
use repository_api::{AppName, ChannelName, VersionName};

use super::Shown;
use super::elements::{command, done, empty, release, version};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::state::app::AppState;
use crate::http::extract::Known;
use crate::http::failure::Failure;

/// Channels on the page.
const CHANNELS: usize = 200;

/// Versions and releases that a form offers.
const OFFERED: usize = 50;

struct Runs {
    channel: ChannelName,
    number: u64,
    version: Option<VersionName>,
    is_signed: bool,
    takes_signed_only: bool,
    at: String,
    by: String,
    /// Where it was before.
    before: Option<u64>,
}

struct Overview {
    channels: Vec<Runs>,
    /// Channels that are not shown.
    more: usize,
    latest: Option<VersionName>,
    versions: usize,
    releases: usize,
    bytes: u64,
    offered: Vec<String>,
}

impl Overview {
    fn of(state: &AppState) -> Self {
        let channels = state.channels.keys().filter_map(|channel| {
            let (_, moved) = state.channel(channel)?;
            let release = state.releases.get(&moved.release);
            Some(Runs {
                channel: channel.clone(),
                number: moved.release,
                version: release.map(|release| release.statement.version.clone()),
                is_signed: release.is_some_and(|release| release.minisig.is_some()),
                takes_signed_only: state.signed_only.contains(channel),
                at: moved.created.clone(),
                by: moved.by.to_string(),
                before: moved.from,
            })
        });
        let there = || state.versions.iter().filter(|(_, found)| !found.is_empty());
        Self {
            channels: channels.take(CHANNELS).collect(),
            more: state.channels.len().saturating_sub(CHANNELS),
            latest: state.latest().cloned(),
            versions: there().count(),
            releases: state.releases.len(),
            bytes: state.bytes,
            offered: offered(state),
        }
    }
}

/// What a channel can be pointed at: versions, and releases, newest first.
pub(super) fn offered(state: &AppState) -> Vec<String> {
    let versions = state
        .versions
        .iter()
        .rev()
        .filter(|(_, found)| !found.is_empty() && !found.is_yanked())
        .map(|(version, _)| version.to_string());
    let releases = state
        .releases
        .keys()
        .rev()
        .map(|number| format!("r{number}"));
    versions
        .take(OFFERED)
        .chain(releases.take(OFFERED))
        .collect()
}

pub(super) async fn get(known: Result<Known<AppName>, Failure>, visit: Visit) -> Shown {
    let Known(app, log) = known?;
    let overview = log.read(Overview::of);
    let main = html! {
        section aria-labelledby="channels" {
            h2 #channels { "Channels" }
            @if overview.channels.is_empty() {
                (empty("No channel yet. One that is called stable or production says what is deployed, and can be moved back."))
            } @else {
                (channels(&visit, &app, &overview.channels))
                @if overview.more > 0 { (empty(&format!("And {} more: GET /channels/{app}/ lists them.", overview.more))) }
            }
            (mover(&visit, &app, &overview))
        }
        section aria-labelledby="numbers" {
            h2 #numbers { "Kept" }
            dl.figures {
                div { dt { "Latest" } dd { @match &overview.latest { Some(latest) => (version(latest)), None => span.none { "none" } } } }
                div { dt { "Versions" } dd { a href={ "/apps/" (app) "/versions" } { (overview.versions) } } }
                div { dt { "Releases" } dd { a href={ "/apps/" (app) "/releases" } { (overview.releases) } } }
                div { dt { "Size" } dd { (show_size(overview.bytes)) } }
            }
        }
        section aria-labelledby="commands" {
            h2 #commands { "In a terminal" }
            (commands(&visit, &app, &overview))
        }
    };
    Ok(page::of_app(
        &visit,
        &app,
        Tab::Overview,
        app.as_str(),
        &main,
    ))
}

fn channels(visit: &Visit, app: &AppName, rows: &[Runs]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Channel" }
                th scope="col" { "Release" }
                th scope="col" { "Version" }
                th scope="col" { "Moved" }
                th scope="col" { span.hidden { "What can be done" } }
            } }
            tbody {
                @for row in rows {
                    @let path = format!("/apps/{app}/channels/{}", row.channel);
                    tr {
                        th scope="row" {
                            a.channel href=(path) { (row.channel) }
                            @if row.takes_signed_only { " " span.badge title="It takes signed releases only" { "signed only" } }
                        }
                        td data-label="Release" {
                            (release(app, row.number))
                            @if row.is_signed { " " span.badge { "signed" } }
                        }
                        td data-label="Version" { @if let Some(runs) = &row.version { (version(runs)) } }
                        td data-label="Moved" { (done(&row.at, &row.by)) }
                        td.actions {
                            @if let Some(before) = row.before {
                                a href={ "/apps/" (app) "/releases/r" (before) "...r" (row.number) } { "What changed" }
                                @if visit.may_move(app, &row.channel) {
                                    a.button.quiet href={ (path) "?to=r" (before) } { "Back to r" (before) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Leads to a page that shows what would change, before anything does.
fn mover(visit: &Visit, app: &AppName, overview: &Overview) -> Markup {
    let known = overview.channels.iter().map(|row| &row.channel);
    let may = overview.channels.is_empty()
        || overview
            .channels
            .iter()
            .any(|row| visit.may_move(app, &row.channel));
    html! {
        @if may && !overview.offered.is_empty() {
            form.line method="get" action={ "/apps/" (app) "/move" } {
                label for="channel" { "Point" }
                input #channel name="channel" list="known" required placeholder="channel"
                    pattern="(?!r[1-9][0-9]*$)(?!latest$)[a-z][a-z0-9\\-]{0,62}" autocomplete="off";
                datalist #known { @for channel in known { option value=(channel) {} } }
                label for="to" { "at" }
                input #to name="to" list="offered" required placeholder="version or release" autocomplete="off";
                datalist #offered { @for name in &overview.offered { option value=(name) {} } }
                button type="submit" { "Look at the change" }
            }
        }
    }
}

fn commands(visit: &Visit, app: &AppName, overview: &Overview) -> Markup {
    let (base, user) = (&visit.base, visit.credentials());
    // bootstrap takes a bare host for http.
    let host = base.strip_prefix("http://").unwrap_or(base);
    let version = overview
        .latest
        .as_ref()
        .map_or_else(|| "1.0.0".to_owned(), ToString::to_string);
    let channel = overview
        .channels
        .first()
        .map_or("stable", |row| row.channel.as_str());
    html! {
        (command("Publish a version", &format!(
            "curl --fail-with-body{user} -T {app}-VERSION.tar.gz {base}/artefacts/{app}/VERSION/"
        )))
        (command("Write its config", &format!(
            "curl --fail-with-body{user} -T {app}.config {base}/config/{app}/"
        )))
        (command("Point a channel at a version", &format!(
            "echo {version} | curl --fail-with-body{user} -T - {base}/channels/{app}/{channel}"
        )))
        (command("Run it", &format!(
            "docker run platformer/app-base {app}@{channel} {host}"
        )))
    }
}
