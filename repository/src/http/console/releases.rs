//! `/apps/{app}/releases`: the list of releases, one release, and the comparison of two.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use repository_api::units::show_size;
use repository_api::{AppName, ReleaseNumber, VersionName};

use super::PageResult;
use super::differences;
use super::elements::{attribution, command, digest, empty, next_page, release, version};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::differences::between_releases;
use crate::domain::error::Error;
use crate::domain::layer_file::LayerFile;
use crate::domain::state::app::{AppState, ReleaseEntry};
use crate::http::extract::{Known, Names};
use crate::http::failure::Failure;

/// Maximum channels shown per release.
const CHANNELS: usize = 20;

/// Maximum releases on a page.
const LIMIT: usize = 50;

struct Row {
    number: u64,
    version: VersionName,
    is_signed: bool,
    channels: Vec<String>,
    at: String,
    by: String,
}

/// The channels that point at each release.
fn channels(state: &AppState) -> BTreeMap<u64, Vec<String>> {
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for channel in state.channels.keys() {
        if let Some((_, moved)) = state.channel(channel) {
            let names = found.entry(moved.release).or_default();
            if names.len() < CHANNELS {
                names.push(channel.to_string());
            }
        }
    }
    found
}

fn number(text: &str) -> Result<ReleaseNumber, Error> {
    Ok(text.parse()?)
}

pub(super) async fn list(known: Result<Known<AppName>, Failure>, visit: Visit) -> PageResult {
    let Known(app, log) = known?;
    let before = match visit.parameter("before") {
        None => u64::MAX,
        Some(text) => number(&text)?.get(),
    };
    let mut rows: Vec<Row> = log.read(|state| {
        let mut channels = channels(state);
        let newest = state.releases.range(..before).rev().take(LIMIT + 1);
        newest
            .map(|(number, release)| Row {
                number: *number,
                version: release.statement.version.clone(),
                is_signed: release.minisig.is_some(),
                channels: channels.remove(number).unwrap_or_default(),
                at: release.created.clone(),
                by: release.by.to_string(),
            })
            .collect()
    });
    let next = (rows.len() > LIMIT).then(|| {
        rows.truncate(LIMIT);
        let last = rows.last().map_or(1, |row| row.number);
        format!("/apps/{app}/releases?before=r{last}")
    });
    let main = html! {
        @if rows.is_empty() {
            (empty("No releases yet. Promoting a version to a channel creates a release, which pins the files and the current config."))
        } @else {
            (table(&app, &rows))
            (next_page(next.as_deref()))
        }
        (command("Compare two releases from a terminal", &format!(
            "curl{} {}/releases/{app}/r1...r2", visit.credentials(), visit.base
        )))
    };
    Ok(page::of_app(&visit, &app, Tab::Releases, "Releases", &main))
}

fn table(app: &AppName, rows: &[Row]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Release" }
                th scope="col" { "Version" }
                th scope="col" { "Channels" }
                th scope="col" { "Created" }
                th scope="col" { span.hidden { "Actions" } }
            } }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" {
                            (release(app, row.number))
                            @if row.is_signed { " " span.badge { "signed" } }
                        }
                        td data-label="Version" { (version(&row.version)) }
                        td data-label="Channels" {
                            @for channel in &row.channels {
                                a.channel href={ "/apps/" (app) "/channels/" (channel) } { (channel) } " "
                            }
                        }
                        td data-label="Created" { (attribution(&row.at, &row.by)) }
                        td.actions {
                            @if row.number > 1 {
                                a href={ "/apps/" (app) "/releases/r" (row.number - 1) "...r" (row.number) } {
                                    "Compare" span.hidden { " r" (row.number) " with r" (row.number - 1) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    path: Result<Names<(AppName, String)>, Failure>,
    visit: Visit,
) -> PageResult {
    let Names((app, name)) = path?;
    if let Some((from, to)) = name.split_once("...") {
        return compare(&catalogue, &visit, &app, number(from)?, number(to)?).await;
    }
    let number = number(&name)?;
    let log = catalogue.known(&app).await?;
    let (found, channels) = log.read(|state| {
        let found = state.release(&app, number)?.clone();
        let channels = channels(state).remove(&number.get());
        Ok::<_, Error>((found, channels.unwrap_or_default()))
    })?;
    let title = format!("Release {number}");
    let main = html! {
        p.lead {
            (version(&found.statement.version)) ", created " (attribution(&found.created, &found.by)) ". "
            @if channels.is_empty() { "No channel points at this release." } @else {
                "Channels: "
                @for channel in &channels { a.channel href={ "/apps/" (app) "/channels/" (channel) } { (channel) } " " }
            }
            @if number.get() > 1 {
                " " a href={ "/apps/" (app) "/releases/r" (number.get() - 1) "...r" (number) } { "Compare with r" (number.get() - 1) }
            }
        }
        (contents(&app, &found))
        (signature(&visit, &app, number, &found))
    };
    Ok(page::of_app(&visit, &app, Tab::Releases, &title, &main))
}

fn contents(app: &AppName, found: &ReleaseEntry) -> Markup {
    let statement = &found.statement;
    html! {
        section aria-labelledby="files" {
            h2 #files { "Files" }
            ul.files {
                @for file in &statement.artefacts {
                    li {
                        a href={ "/artefacts/" (app) "/" (statement.version) "/" (file.file) } download { (file.file) }
                        " " span.size { (show_size(file.size)) } " " (digest(&file.sha256))
                    }
                }
            }
        }
        section aria-labelledby="layers" {
            h2 #layers { "Config" }
            @if statement.config.is_empty() { (empty("This release has no config.")) }
            ul.files {
                @for pin in &statement.config {
                    @let file = LayerFile::of(app, &pin.layer);
                    li {
                        a href={ "/apps/" (file.owner()) "/config/" (file.name()) "?generation=" (pin.generation) } {
                            (pin.layer) " g" (pin.generation)
                        }
                        " " (digest(&pin.sha256))
                    }
                }
            }
        }
    }
}

fn signature(visit: &Visit, app: &AppName, number: ReleaseNumber, found: &ReleaseEntry) -> Markup {
    let (base, user) = (&visit.base, visit.credentials());
    html! {
        section aria-labelledby="signature" {
            h2 #signature { "Signature" }
            @match &found.minisig {
                Some(text) => { pre tabindex="0" { code { (text) } } }
                None => {
                    (empty("This release is not signed. Sign its statement with minisign and upload the signature:"))
                    (command("Sign this release", &format!(
                        "curl{user} -o {number} '{base}/releases/{app}/{number}?statement' && minisign -Sm {number} && curl --fail-with-body{user} -T {number}.minisig {base}/releases/{app}/"
                    )))
                }
            }
        }
    }
}

async fn compare(
    catalogue: &Catalogue,
    visit: &Visit,
    app: &AppName,
    from: ReleaseNumber,
    to: ReleaseNumber,
) -> PageResult {
    let found = between_releases(catalogue, app, from, to).await?;
    let title = format!("Compare {from} with {to}");
    let main = html! {
        p.lead {
            "Changes from " (release(app, from.get())) " to " (release(app, to.get())) ". "
            a href={ "/apps/" (app) "/releases/" (to) "..." (from) } { "Swap" }
        }
        (differences::show(&found))
        (command("Compare from a terminal", &format!(
            "curl{} {}/releases/{app}/{from}...{to}", visit.credentials(), visit.base
        )))
    };
    Ok(page::of_app(visit, app, Tab::Releases, &title, &main))
}
