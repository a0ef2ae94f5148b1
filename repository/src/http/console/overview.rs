//! `/apps/{app}`: the channels of an app, and commands to publish, configure, promote and run it.

use maud::{Markup, html};
use repository_api::units::show_size;
use repository_api::{AppName, ChannelName, VersionName};

use super::PageResult;
use super::elements::{attribution, command, empty, release, version};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::state::app::AppState;
use crate::http::extract::Known;
use crate::http::failure::Failure;

/// Maximum channels on the page.
const CHANNELS: usize = 200;

/// Maximum versions, and maximum releases, that the form suggests.
const SUGGESTIONS: usize = 50;

struct ChannelRow {
    channel: ChannelName,
    number: u64,
    version: Option<VersionName>,
    is_signed: bool,
    takes_signed_only: bool,
    at: String,
    by: String,
    previous: Option<u64>,
}

struct Overview {
    channels: Vec<ChannelRow>,
    /// Number of channels that are not shown.
    hidden: usize,
    latest: Option<VersionName>,
    versions: usize,
    releases: usize,
    bytes: u64,
    suggestions: Vec<String>,
}

impl Overview {
    fn of(state: &AppState) -> Self {
        let channels = state.channels.keys().filter_map(|channel| {
            let (_, moved) = state.channel(channel)?;
            let release = state.releases.get(&moved.release);
            Some(ChannelRow {
                channel: channel.clone(),
                number: moved.release,
                version: release.map(|release| release.statement.version.clone()),
                is_signed: release.is_some_and(|release| release.minisig.is_some()),
                takes_signed_only: state.signed_only.contains(channel),
                at: moved.created.clone(),
                by: moved.by.to_string(),
                previous: moved.from,
            })
        });
        let published = || state.versions.iter().filter(|(_, found)| !found.is_empty());
        Self {
            channels: channels.take(CHANNELS).collect(),
            hidden: state.channels.len().saturating_sub(CHANNELS),
            latest: state.latest().cloned(),
            versions: published().count(),
            releases: state.releases.len(),
            bytes: state.bytes,
            suggestions: suggestions(state),
        }
    }
}

/// Targets for a channel: versions, then releases, both newest first.
fn suggestions(state: &AppState) -> Vec<String> {
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
        .take(SUGGESTIONS)
        .chain(releases.take(SUGGESTIONS))
        .collect()
}

pub(super) async fn get(known: Result<Known<AppName>, Failure>, visit: Visit) -> PageResult {
    let Known(app, log) = known?;
    let overview = log.read(Overview::of);
    let main = html! {
        section aria-labelledby="channels" {
            h2 #channels { "Channels" }
            @if overview.channels.is_empty() {
                (empty("No channels yet. A channel, such as stable or production, points at the release that is deployed. Create one below."))
            } @else {
                (channels(&visit, &app, &overview.channels))
                @if overview.hidden > 0 { (empty(&format!("{} more channels: GET /channels/{app}/ lists all of them.", overview.hidden))) }
            }
            (promotion_form(&visit, &app, &overview))
        }
        section aria-labelledby="numbers" {
            h2 #numbers { "Summary" }
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

fn channels(visit: &Visit, app: &AppName, rows: &[ChannelRow]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Channel" }
                th scope="col" { "Release" }
                th scope="col" { "Version" }
                th scope="col" { "Last promoted" }
                th scope="col" { span.hidden { "Actions" } }
            } }
            tbody {
                @for row in rows {
                    @let path = format!("/apps/{app}/channels/{}", row.channel);
                    tr {
                        th scope="row" {
                            a.channel href=(path) { (row.channel) }
                            @if row.takes_signed_only { " " span.badge title="This channel accepts only signed releases" { "signed only" } }
                        }
                        td data-label="Release" {
                            (release(app, row.number))
                            @if row.is_signed { " " span.badge { "signed" } }
                        }
                        td data-label="Version" { @if let Some(runs) = &row.version { (version(runs)) } }
                        td data-label="Last promoted" { (attribution(&row.at, &row.by)) }
                        td.actions {
                            @if let Some(previous) = row.previous {
                                a href={ "/apps/" (app) "/releases/r" (previous) "...r" (row.number) } { "Compare" }
                                @if visit.may_move(app, &row.channel) {
                                    a.button.quiet href={ (path) "?to=r" (previous) } { "Roll back to r" (previous) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The form that leads to the preview of a promotion.
fn promotion_form(visit: &Visit, app: &AppName, overview: &Overview) -> Markup {
    let existing = overview.channels.iter().map(|row| &row.channel);
    let may = overview.channels.is_empty()
        || overview
            .channels
            .iter()
            .any(|row| visit.may_move(app, &row.channel));
    html! {
        @if may && !overview.suggestions.is_empty() {
            form.line method="get" action={ "/apps/" (app) "/move" } {
                label for="channel" { "Promote to channel" }
                input #channel name="channel" list="existing" required placeholder="stable"
                    pattern="(?!r[1-9][0-9]*$)(?!latest$)[a-z][a-z0-9\\-]{0,62}" autocomplete="off";
                datalist #existing { @for channel in existing { option value=(channel) {} } }
                label for="to" { "version or release" }
                input #to name="to" list="suggestions" required placeholder="1.0.0 or r1" autocomplete="off";
                datalist #suggestions { @for name in &overview.suggestions { option value=(name) {} } }
                button type="submit" { "Review changes" }
            }
        }
    }
}

fn commands(visit: &Visit, app: &AppName, overview: &Overview) -> Markup {
    let (base, user) = (&visit.base, visit.credentials());
    // bootstrap uses http for a host without a scheme.
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
        (command("Write the config", &format!(
            "curl --fail-with-body{user} -T {app}.config {base}/config/{app}/"
        )))
        (command("Promote a version to a channel", &format!(
            "echo {version} | curl --fail-with-body{user} -T - {base}/channels/{app}/{channel}"
        )))
        (command("Run the app", &format!(
            "docker run platformer/app-base {app}@{channel} {host}"
        )))
    }
}
