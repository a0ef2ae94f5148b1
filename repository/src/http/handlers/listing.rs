//! Listings, a page at a time: JSON, or HTML by `Accept`.

use std::fmt::Write as _;
use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri, header};
use repository_api::{AppName, VersionName};
use serde::Serialize;
use utoipa::ToSchema;

use super::artefact::missing;
use super::{HTML, JSON, Names, Number, json, parameter, tag_of, tagged, text_value};
use crate::Repository;
use crate::http::console::{self, Visit};
use crate::http::failure::Failure;
use crate::http::negotiate::{self, Form};
use crate::http::openapi;

const DEFAULT_LIMIT: usize = 1000;
const MAX_LIMIT: usize = 10_000;

/// `?limit=&after=`
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
}

impl Page {
    pub(crate) fn read(uri: &Uri) -> Result<Self, Failure> {
        let limit = match parameter(uri.query(), "limit")? {
            Some(Number(limit)) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => DEFAULT_LIMIT,
        };
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Failure::bad_request(format!(
                "limit: expected 1 to {MAX_LIMIT}"
            )));
        }
        Ok(Self {
            limit,
            after: parameter(uri.query(), "after")?,
        })
    }

    pub(crate) fn is_after(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| key > after)
    }
}

/// Shows a page of `rows`, of which there is one too many where another page follows; then a `Link`
/// names that page.
pub(crate) fn paged<T>(
    (path, request): (&str, &HeaderMap),
    page: &Page,
    mut rows: Vec<T>,
    key: impl Fn(&T) -> String,
    show: impl FnOnce(&[T]) -> (&'static str, String),
) -> Result<Response, Failure> {
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let (media_type, text) = show(&rows);
    let mut response = tagged(request, media_type, &tag_of(text.as_bytes()), text)?;
    let headers = response.headers_mut();
    headers.insert(header::VARY, text_value("Accept"));
    if let (true, Some(last)) = (more, rows.last()) {
        let after =
            percent_encoding::utf8_percent_encode(&key(last), percent_encoding::NON_ALPHANUMERIC)
                .to_string();
        let link = format!("<{path}?limit={}&after={after}>; rel=\"next\"", page.limit);
        headers.insert(header::LINK, text_value(&link));
    }
    Ok(response)
}

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
    sha256: repository_api::Digest,
    created: String,
    by: String,
}

/// The table of a page: names that lead on, and what there is to say of each. Every text comes from
/// a checked name, a number or a time, so none needs escaping.
fn html(
    title: &str,
    rows: impl Iterator<Item = (String, String, String)>,
) -> (&'static str, String) {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<h1>{title}</h1>\n<table>\n"
    );
    for (link, name, note) in rows {
        let _ = writeln!(text, "<tr><td><a href=\"{link}\">{name}</a><td>{note}");
    }
    text.push_str("</table>\n</html>\n");
    (HTML, text)
}

fn varying(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::VARY, text_value("Accept"));
    response
}

/// The console, or where a script begins.
pub(crate) async fn root(
    State(repository): State<Arc<Repository>>,
    headers: HeaderMap,
    visit: Visit,
) -> Result<Response, console::Trouble> {
    if negotiate::form(&headers, Form::Json) == Form::Html {
        return console::apps(&repository, &visit).await;
    }
    let text = json(&serde_json::json!({ "artefacts": "/artefacts/", "api": "/openapi.json" }));
    let response = tagged(&headers, JSON, &tag_of(text.as_bytes()), text)?;
    Ok(varying(response))
}

#[utoipa::path(
    get,
    path = "/artefacts/",
    tag = "artefacts",
    params(
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Rows of a page"),
        ("after" = Option<String>, Query, description = "The last row of the page before"),
    ),
    responses(
        (status = 200, description = "Apps, by name; HTML by Accept; Link leads to the next page", body = AppsPage),
        openapi::Refused,
    )
)]
pub(crate) async fn apps(
    State(repository): State<Arc<Repository>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let page = Page::read(&uri)?;
    let rows = repository
        .catalogue
        .names_after(page.after.as_deref(), page.limit + 1)
        .await?;
    paged(
        ("/artefacts/", &headers),
        &page,
        rows,
        AppName::to_string,
        |rows| {
            if negotiate::form(&headers, Form::Json) == Form::Html {
                let row =
                    |app: &AppName| (format!("/artefacts/{app}/"), app.to_string(), String::new());
                return html("artefacts", rows.iter().map(row));
            }
            (
                JSON,
                json(&AppsPage {
                    apps: rows.to_vec(),
                }),
            )
        },
    )
}

/// In the order of versions.
#[utoipa::path(
    get,
    path = "/artefacts/{app}/",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Rows of a page"),
        ("after" = Option<openapi::Version>, Query, description = "The last row of the page before"),
    ),
    responses(
        (status = 200, description = "Versions, in their order", body = VersionsPage),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn versions(
    State(repository): State<Arc<Repository>>,
    Names(app): Names<AppName>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let page = Page::read(&uri)?;
    let after = match &page.after {
        None => Bound::Unbounded,
        Some(after) => Bound::Excluded(
            after
                .parse::<VersionName>()
                .map_err(|error| Failure::bad_request(format!("after: {error}")))?,
        ),
    };
    let entry = repository.catalogue.known(&app).await?;
    let (rows, latest) = entry.read(|state| {
        let rows: Vec<ListedVersion> = state
            .versions
            .range((after, Bound::Unbounded))
            .filter(|(_, found)| !found.is_empty())
            .take(page.limit + 1)
            .map(|(version, found)| ListedVersion {
                version: version.clone(),
                yanked: found.is_yanked(),
                sealed: found.is_sealed(),
                files: found.files().count(),
            })
            .collect();
        (rows, state.latest().cloned())
    });
    paged(
        (&format!("/artefacts/{app}/"), &headers),
        &page,
        rows,
        |row| row.version.to_string(),
        |rows| {
            if negotiate::form(&headers, Form::Json) == Form::Html {
                let row = |row: &ListedVersion| {
                    let version = &row.version;
                    let note = if row.yanked {
                        "yanked"
                    } else if latest.as_ref() == Some(version) {
                        "latest"
                    } else {
                        ""
                    };
                    (
                        format!("/artefacts/{app}/{version}/"),
                        version.to_string(),
                        note.to_owned(),
                    )
                };
                return html(app.as_str(), rows.iter().map(row));
            }
            (
                JSON,
                json(&VersionsPage {
                    app,
                    latest,
                    versions: rows.to_vec(),
                }),
            )
        },
    )
}

#[utoipa::path(
    get,
    path = "/artefacts/{app}/{version}/",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Rows of a page"),
        ("after" = Option<String>, Query, description = "The last row of the page before"),
    ),
    responses(
        (status = 200, description = "Files of a version", body = FilesPage),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn files(
    State(repository): State<Arc<Repository>>,
    Names((app, version)): Names<(AppName, VersionName)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let page = Page::read(&uri)?;
    let rows: Vec<ListedFile> = repository.catalogue.known(&app).await?.read(|state| {
        let found = state
            .version(&version)
            .ok_or_else(|| missing(&app, &version, state))?;
        let listed = found
            .files()
            .filter(|(file, _)| page.is_after(file.as_str()));
        Ok::<_, Failure>(
            listed
                .take(page.limit + 1)
                .map(|(file, record)| ListedFile {
                    file: file.to_string(),
                    size: record.size,
                    sha256: record.sha256,
                    created: record.created.clone(),
                    by: record.by.to_string(),
                })
                .collect(),
        )
    })?;
    paged(
        (&format!("/artefacts/{app}/{version}/"), &headers),
        &page,
        rows,
        |row| row.file.clone(),
        |rows| {
            if negotiate::form(&headers, Form::Json) == Form::Html {
                let row = |row: &ListedFile| {
                    let link = format!("/artefacts/{app}/{version}/{}", row.file);
                    (
                        link,
                        row.file.clone(),
                        format!("{} bytes, sha256:{}", row.size, row.sha256),
                    )
                };
                return html(&format!("{app} {version}"), rows.iter().map(row));
            }
            (
                JSON,
                json(&FilesPage {
                    app,
                    version,
                    files: rows.to_vec(),
                }),
            )
        },
    )
}
