//! `/apps/{app}/versions`: the published versions, newest first.

use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use repository_api::units::show_size;
use repository_api::{AppName, Digest, VersionName};

use super::PageResult;
use super::elements::{attribution, command, digest, empty, next_page, version};
use super::form::{Form, see_other};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::state::app::AppState;
use crate::domain::state::version::VersionState;
use crate::domain::yank::set_yanked;
use crate::http::extract::{Known, Names, Write};
use crate::http::failure::Failure;

/// Maximum versions on a page.
const LIMIT: usize = 50;

struct Row {
    version: VersionName,
    is_latest: bool,
    is_sealed: bool,
    is_yanked: bool,
    files: Vec<File>,
}

struct File {
    name: String,
    size: u64,
    sha256: Digest,
    at: String,
    by: String,
}

impl Row {
    fn of(version: &VersionName, found: &VersionState, latest: Option<&VersionName>) -> Self {
        Self {
            version: version.clone(),
            is_latest: latest == Some(version),
            is_sealed: found.is_sealed(),
            is_yanked: found.is_yanked(),
            files: found
                .files()
                .map(|(name, record)| File {
                    name: name.to_string(),
                    size: record.size,
                    sha256: record.sha256,
                    at: record.created.clone(),
                    by: record.by.to_string(),
                })
                .collect(),
        }
    }
}

fn rows(state: &AppState, before: Option<&VersionName>) -> Vec<Row> {
    let before = before.map_or(Bound::Unbounded, Bound::Excluded);
    let latest = state.latest();
    state
        .versions
        .range::<VersionName, _>((Bound::Unbounded, before))
        .rev()
        .filter(|(_, found)| !found.is_empty())
        .take(LIMIT + 1)
        .map(|(version, found)| Row::of(version, found, latest))
        .collect()
}

pub(super) async fn get(known: Result<Known<AppName>, Failure>, visit: Visit) -> PageResult {
    let Known(app, log) = known?;
    let before = visit
        .parameter("before")
        .map(|text| text.parse::<VersionName>())
        .transpose()
        .map_err(|error| Failure::bad_request(format!("before: {error}")))?;
    let mut rows = log.read(|state| rows(state, before.as_ref()));
    let next = (rows.len() > LIMIT).then(|| {
        rows.truncate(LIMIT);
        let last = rows
            .last()
            .map_or(String::new(), |row| row.version.to_string());
        let last: String = form_urlencoded::byte_serialize(last.as_bytes()).collect();
        format!("/apps/{app}/versions?before={last}")
    });
    let may_publish = visit.may_publish(&app);
    let main = html! {
        @if rows.is_empty() { (empty("No versions yet. Publish one with the command below.")) } @else {
            (table(&app, &rows, may_publish))
            (next_page(next.as_deref()))
        }
        (command("Publish a version", &format!(
            "curl --fail-with-body{} -T {app}-VERSION.tar.gz {}/artefacts/{app}/VERSION/", visit.credentials(), visit.base
        )))
        (command("Yank a version: latest skips it, but clients can still fetch it by name", &format!(
            "curl --fail-with-body{} -X DELETE {}/artefacts/{app}/VERSION", visit.credentials(), visit.base
        )))
    };
    Ok(page::of_app(&visit, &app, Tab::Versions, "Versions", &main))
}

fn table(app: &AppName, rows: &[Row], may_publish: bool) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Version" }
                th scope="col" { "Files" }
                th scope="col" { "Published" }
                th scope="col" { span.hidden { "Actions" } }
            } }
            tbody {
                @for row in rows {
                    tr class=[row.is_yanked.then_some("yanked")] {
                        th scope="row" {
                            (version(&row.version))
                            @if row.is_latest { " " span.badge.strong { "latest" } }
                            @if row.version.is_prerelease() { " " span.badge { "pre-release" } }
                            @if row.is_yanked { " " span.badge.bad { "yanked" } }
                            @if row.is_sealed { " " span.badge title="A release pins this version, so you cannot add files" { "sealed" } }
                        }
                        td data-label="Files" {
                            ul.files {
                                @for file in &row.files {
                                    li {
                                        a href={ "/artefacts/" (app) "/" (row.version) "/" (file.name) } download { (file.name) }
                                        " " span.size { (show_size(file.size)) } " " (digest(&file.sha256))
                                    }
                                }
                            }
                        }
                        td data-label="Published" {
                            @if let Some(file) = row.files.first() { (attribution(&file.at, &file.by)) }
                        }
                        td.actions { @if may_publish { (yank_form(app, row)) } }
                    }
                }
            }
        }
    }
}

fn yank_form(app: &AppName, row: &Row) -> Markup {
    html! {
        form method="post" action={ "/apps/" (app) "/versions/" (row.version) } {
            input type="hidden" name="yanked" value=(!row.is_yanked);
            button.quiet type="submit" {
                @if row.is_yanked { "Unyank" } @else { "Yank" }
                span.hidden { " " (row.version) }
            }
        }
    }
}

pub(super) async fn post(
    State(catalogue): State<Arc<Catalogue>>,
    path: Result<Names<(AppName, VersionName)>, Failure>,
    request: Write,
) -> PageResult {
    let Names((app, version)) = path?;
    let by = request.by.clone();
    let sent = Form::read(request, 4096).await?;
    let yanked = match sent.field("yanked") {
        "true" => true,
        "false" => false,
        _ => {
            return Err(Failure::bad_request("the form field yanked must be true or false").into());
        }
    };
    let back = see_other(&format!("/apps/{app}/versions"));
    set_yanked(&catalogue, app, version, yanked, by).await?;
    Ok(back)
}
