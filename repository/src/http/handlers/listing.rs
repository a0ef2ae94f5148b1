//! Paginated listings of apps, versions and files: JSON, or HTML by `Accept`.

use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{DOCTYPE, html};
use repository_api::{AppName, Digest, VersionName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::http::extract::Known;
use crate::http::failure::Failure;
use crate::http::negotiate::{self, Format};
use crate::http::openapi;
use crate::http::page::Page;
use crate::http::response::{HTML, JSON, json};

#[derive(Serialize, ToSchema)]
pub(crate) struct AppsPage {
    #[schema(value_type = Vec<String>)]
    apps: Vec<AppName>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct VersionsPage {
    #[schema(value_type = String)]
    app: AppName,
    #[schema(value_type = Option<String>)]
    latest: Option<VersionName>,
    versions: Vec<ListedVersion>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FilesPage {
    #[schema(value_type = String)]
    app: AppName,
    #[schema(value_type = String)]
    version: VersionName,
    files: Vec<ListedFile>,
}

#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct ListedVersion {
    #[schema(value_type = String)]
    version: VersionName,
    yanked: bool,
    sealed: bool,
    files: usize,
}

#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct ListedFile {
    file: String,
    /// Bytes.
    size: u64,
    #[schema(value_type = openapi::Sha256)]
    sha256: Digest,
    created: String,
    by: String,
}

/// A row of an HTML listing: link, name and note.
struct Row(String, String, String);

/// Responds with a page of `rows`, in JSON or HTML.
fn listing<T, L: Serialize>(
    page: &Page,
    title: &str,
    rows: Vec<T>,
    row: impl Fn(&T) -> Row,
    list: impl FnOnce(Vec<T>) -> L,
) -> Result<Response, Failure> {
    let key = |listed: &T| row(listed).1;
    page.show(rows, key, |rows| {
        if negotiate::preferred_format(page.headers(), Format::Json) != Format::Html {
            return (JSON, json(&list(rows)));
        }
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { (title) }
                }
                body {
                    h1 { (title) }
                    table {
                        @for Row(address, name, note) in rows.iter().map(&row) {
                            tr { td { a href=(address) { (name) } } td { (note) } }
                        }
                    }
                }
            }
        };
        (HTML, markup.into_string())
    })
}

/// Apps, by name.
#[utoipa::path(
    get,
    path = "/artefacts/",
    tag = "artefacts",
    params(
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Maximum rows of a page"),
        ("after" = Option<String>, Query, description = "The last row of the previous page"),
    ),
    responses(
        (status = 200, description = "Apps, by name; HTML by Accept; Link names the next page", body = AppsPage),
        openapi::Refused,
    )
)]
pub(crate) async fn apps(
    State(catalogue): State<Arc<Catalogue>>,
    page: Page,
) -> Result<Response, Failure> {
    let rows = catalogue
        .names_after(page.after.as_deref(), page.rows())
        .await?;
    let row = |app: &AppName| Row(format!("/artefacts/{app}/"), app.to_string(), String::new());
    listing(&page, "artefacts", rows, row, |apps| AppsPage { apps })
}

/// Versions of an app, in ascending order.
#[utoipa::path(
    get,
    path = "/artefacts/{app}/",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Maximum rows of a page"),
        ("after" = Option<openapi::Version>, Query, description = "The last row of the previous page"),
    ),
    responses(
        (status = 200, description = "Versions, in ascending order", body = VersionsPage),
        openapi::Refused,
        openapi::Missing,
    )
)]
pub(crate) async fn versions(
    Known(app, log): Known<AppName>,
    page: Page,
) -> Result<Response, Failure> {
    let after = match &page.after {
        None => Bound::Unbounded,
        Some(after) => Bound::Excluded(
            after
                .parse::<VersionName>()
                .map_err(|error| Failure::bad_request(format!("after: {error}")))?,
        ),
    };
    let (rows, latest) = log.read(|state| {
        let rows: Vec<ListedVersion> = state
            .versions
            .range((after, Bound::Unbounded))
            .filter(|(_, found)| !found.is_empty())
            .take(page.rows())
            .map(|(version, found)| ListedVersion {
                version: version.clone(),
                yanked: found.is_yanked(),
                sealed: found.is_sealed(),
                files: found.files().count(),
            })
            .collect();
        (rows, state.latest().cloned())
    });
    let row = |row: &ListedVersion| {
        let version = &row.version;
        let note = if row.yanked {
            "yanked"
        } else if latest.as_ref() == Some(version) {
            "latest"
        } else {
            ""
        };
        Row(
            format!("/artefacts/{app}/{version}/"),
            version.to_string(),
            note.to_owned(),
        )
    };
    listing(&page, app.as_str(), rows, row, |versions| VersionsPage {
        app: app.clone(),
        latest: latest.clone(),
        versions,
    })
}

/// Files of a version, by name.
#[utoipa::path(
    get,
    path = "/artefacts/{app}/{version}/",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Maximum rows of a page"),
        ("after" = Option<String>, Query, description = "The last row of the previous page"),
    ),
    responses(
        (status = 200, description = "Files of a version", body = FilesPage),
        openapi::Refused,
        openapi::Missing,
    )
)]
pub(crate) async fn files(
    Known((app, version), log): Known<(AppName, VersionName)>,
    page: Page,
) -> Result<Response, Failure> {
    let rows: Vec<ListedFile> = log.read(|state| {
        let found = state.existing(&app, &version)?;
        let rows = found
            .files()
            .filter(|(file, _)| page.is_after(file.as_str()))
            .take(page.rows())
            .map(|(file, record)| ListedFile {
                file: file.to_string(),
                size: record.size,
                sha256: record.sha256,
                created: record.created.clone(),
                by: record.by.to_string(),
            });
        Ok::<_, Error>(rows.collect())
    })?;
    let row = |row: &ListedFile| {
        let ListedFile {
            file, size, sha256, ..
        } = row;
        Row(
            format!("/artefacts/{app}/{version}/{file}"),
            file.clone(),
            format!("{size} bytes, sha256:{sha256}"),
        )
    };
    let title = format!("{app} {version}");
    listing(&page, &title, rows, row, |files| FilesPage {
        app: app.clone(),
        version: version.clone(),
        files,
    })
}
