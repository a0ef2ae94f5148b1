//! `/config/{app}/…`: layers with generations, and the merge of them.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use repository_api::config::{self, Config};
use repository_api::{AppName, Digest, EnvironmentName};
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Page, paged};
use super::{JSON, Names, Number, TEXT, answer, json, parameter, tag_of, tagged, text_value};
use crate::Repository;
use crate::domain::catalogue::AppState;
use crate::domain::configure::{LayerFile, configure, etag};
use crate::domain::releases;
use crate::http::access::Who;
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::receive;
use crate::storage::keys::DEFAULT_OWNER;

/// A layer, as it was written.
#[utoipa::path(
    get,
    path = "/config/{app}/{file}",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("file" = openapi::LayerFile, Path),
        ("generation" = Option<u64>, Query, description = "An old one"),
    ),
    responses(
        (status = 200, description = "The layer", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((owner, file)): Names<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let LayerFile { app, layer } = LayerFile::read(&owner, &file)?;
    let wanted = parameter(uri.query(), "generation")?.map(|Number(wanted)| wanted);
    let entry = repository.catalogue.layer_owner(&app, &layer).await?;
    let newest = entry.and_then(|entry| entry.read(|state| Some(state.newest(&layer)?.0)));
    let generation = match (wanted, newest) {
        (_, None) => Err(absent(&owner, &file)),
        (None, Some(newest)) => Ok(newest),
        (Some(wanted), Some(newest)) if (1..=newest).contains(&wanted) => Ok(wanted),
        (Some(wanted), Some(newest)) => Err(Failure::not_found(format!(
            "{file} of {owner} has generations 1 to {newest}, and no {wanted}"
        ))),
    }?;
    let content = releases::layer(&repository, &app, &layer, generation).await?;
    tagged(&headers, TEXT, &etag(generation), content)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LayerHistory {
    owner: String,
    file: String,
    history: Vec<Listed>,
}

#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Listed {
    generation: u64,
    #[schema(value_type = openapi::Sha256)]
    sha256: Digest,
    at: String,
    by: String,
}

/// Newest first.
/// The generations of a layer, newest first.
#[utoipa::path(
    get,
    path = "/config/{app}/{file}/history",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("file" = openapi::LayerFile, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Rows of a page"),
        ("after" = Option<u64>, Query, description = "The last generation of the page before"),
    ),
    responses(
        (status = 200, description = "Who wrote what, and when", body = LayerHistory),
        openapi::Refused,
        openapi::Absent,
    )
)]
pub(crate) async fn history(
    State(repository): State<Arc<Repository>>,
    Names((owner, file)): Names<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let LayerFile { app, layer } = LayerFile::read(&owner, &file)?;
    let page = Page::read(&uri)?;
    let before: Option<Number> = parameter(uri.query(), "after")?;
    let before = before.map_or(u64::MAX, |Number(before)| before);
    let entry = repository.catalogue.layer_owner(&app, &layer).await?;
    let rows: Vec<Listed> = entry.map_or_else(Vec::new, |entry| {
        entry.read(|state| {
            let written = state.generations(&layer);
            let numbered = (1..=written.len() as u64).rev().zip(written.iter().rev());
            numbered
                .filter(|(number, _)| *number < before)
                .take(page.limit + 1)
                .map(|(generation, written)| Listed {
                    generation,
                    sha256: written.sha256,
                    at: written.created.clone(),
                    by: written.by.to_string(),
                })
                .collect()
        })
    });
    if rows.is_empty() && page.after.is_none() {
        return Err(absent(&owner, &file));
    }
    paged(
        (&format!("/config/{owner}/{file}/history"), &headers),
        &page,
        rows,
        |row| row.generation.to_string(),
        |rows| {
            let shown = LayerHistory {
                owner: owner.clone(),
                file: file.clone(),
                history: rows.to_vec(),
            };
            (JSON, json(&shown))
        },
    )
}

fn absent(owner: &str, file: &str) -> Failure {
    Failure::not_found(format!(
        "there is no {file} of {owner}: write it with PUT /config/{owner}/{file}"
    ))
}

/// Writes the next generation of a layer.
#[utoipa::path(
    put,
    path = "/config/{app}/{file}",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("file" = openapi::LayerFile, Path),
        ("if-match" = Option<String>, Header, description = "The entity tag of the generation that was read"),
    ),
    request_body(content = Option<String>, content_type = "text/plain", description = "NAME=value lines"),
    responses(
        (status = 200, description = "It says so already", body = String, content_type = "text/plain"),
        (status = 201, description = "It is written", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
        openapi::Body,
        openapi::Unusable,
    )
)]
pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((owner, file)): Names<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let address = LayerFile::read(&owner, &file)?;
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let bytes = receive::small(&repository, &parts.headers, body, config::MAX_FILE_BYTES).await?;
    let written = configure(repository, address, parts.headers, bytes, by).await?;
    let generation = written.generation;
    let (status, is) = if written.is_new {
        (StatusCode::CREATED, "is now")
    } else {
        (StatusCode::OK, "is unchanged at")
    };
    let mut text = format!("{file} of {owner} {is} generation {generation}\n");
    if let Some(note) = &written.note {
        let _ = writeln!(text, "{note}");
    }
    for warning in &written.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let mut response = answer(status, TEXT, text);
    response
        .headers_mut()
        .insert(header::ETAG, text_value(&etag(generation)));
    Ok(response)
}

/// The merge, as an app would see it, in the grammar of the files.
/// The merge of the layers, as an app would see it.
#[utoipa::path(
    get,
    path = "/config/{app}/",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("environment" = Option<openapi::Channel>, Query, description = "With the layer of this environment"),
    ),
    responses(
        (status = 200, description = "NAME=value lines", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Conditional,
        openapi::Unusable,
    )
)]
pub(crate) async fn merged(
    State(repository): State<Arc<Repository>>,
    Names(owner): Names<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if owner == DEFAULT_OWNER {
        return Err(Failure::not_found(
            "_default has one layer: ask for /config/_default/_default.config",
        ));
    }
    let app: AppName = owner
        .parse()
        .map_err(|error: repository_api::NameError| Failure::bad_request(error.to_string()))?;
    let environment: Option<EnvironmentName> = parameter(uri.query(), "environment")?;
    let entry = repository.catalogue.known(&app).await?;
    let mut pins = repository
        .catalogue
        .default_layer()
        .await?
        .read(AppState::pins);
    pins.extend(entry.read(AppState::pins));
    pins.retain(|pin| pin.layer.applies_to(environment.as_ref()));
    if pins.is_empty() {
        return Err(Failure::not_found(format!(
            "{app} has no config: write it with PUT /config/{app}/{app}.config"
        )));
    }
    let mut layers: Vec<Config> = Vec::new();
    for pin in &pins {
        let content = releases::layer(&repository, &app, &pin.layer, pin.generation).await?;
        let parsed = config::parse(content.as_bytes()).map_err(|error| {
            Failure::unprocessable(format!(
                "layer {} at generation {}: {error}",
                pin.layer, pin.generation
            ))
        })?;
        layers.push(parsed);
    }
    let merged = config::merge(&layers);
    let text = config::render(
        merged
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    tagged(&headers, TEXT, &tag_of(text.as_bytes()), text)
}
