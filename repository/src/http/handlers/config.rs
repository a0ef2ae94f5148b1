//! `/config/{app}/…`: config layers with their generations, and the merged config.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use repository_api::config::{self, Config};
use repository_api::{AppName, Digest, EnvironmentName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::catalogue::Catalogue;
use crate::domain::configure::configure;
use crate::domain::error::Error;
use crate::domain::layer_file::{DEFAULT_OWNER, LayerFile};
use crate::domain::releases;
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;
use crate::http::page::Page;
use crate::http::query::{Number, parameter};
use crate::http::response::{TEXT, respond, tagged, tagged_by_digest, text_value};
use crate::http::{conditional, etag, openapi};

/// A config layer, as it was written.
#[utoipa::path(
    get,
    path = "/config/{app}/{file}",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("file" = openapi::LayerFile, Path),
        ("generation" = Option<u64>, Query, description = "An older generation"),
    ),
    responses(
        (status = 200, description = "The layer", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
    )
)]
pub(crate) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    Names((owner, file)): Names<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let layer_file = LayerFile::parse(&owner, &file)?;
    let layer = layer_file.layer();
    let wanted = parameter(uri.query(), "generation")?.map(|Number(wanted)| wanted);
    let newest = catalogue
        .layers(&layer_file, |layers| layers.newest(&layer))
        .await?
        .flatten();
    let generation = match (wanted, newest) {
        (_, None) => Err(missing_layer(&owner, &file)),
        (None, Some((newest, _))) => Ok(newest),
        (Some(wanted), Some((newest, _))) if (1..=newest).contains(&wanted) => Ok(wanted),
        (Some(wanted), Some((newest, _))) => Err(Failure::not_found(format!(
            "{file} of {owner} has no generation {wanted}: request 1 to {newest}"
        ))),
    }?;
    let content = catalogue.content(&layer_file, generation).await?;
    tagged(&headers, TEXT, &etag::generation(generation), content)
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

/// The generations of a layer, newest first.
#[utoipa::path(
    get,
    path = "/config/{app}/{file}/history",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("file" = openapi::LayerFile, Path),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000, description = "Maximum rows of a page"),
        ("after" = Option<u64>, Query, description = "The last generation of the previous page"),
    ),
    responses(
        (status = 200, description = "Generations with author and time", body = LayerHistory),
        openapi::Refused,
        openapi::Missing,
    )
)]
pub(crate) async fn history(
    State(catalogue): State<Arc<Catalogue>>,
    Names((owner, file)): Names<(String, String)>,
    page: Page,
    uri: Uri,
) -> Result<Response, Failure> {
    let layer_file = LayerFile::parse(&owner, &file)?;
    let layer = layer_file.layer();
    let before: Option<Number> = parameter(uri.query(), "after")?;
    let before = before.map_or(u64::MAX, |Number(before)| before);
    let rows = catalogue
        .layers(&layer_file, |layers| {
            layers.newest_before(&layer, before, page.rows())
        })
        .await?
        .unwrap_or_default();
    if rows.is_empty() && page.after.is_none() {
        return Err(missing_layer(&owner, &file));
    }
    page.json(
        rows,
        |(generation, _)| generation.to_string(),
        |rows| {
            let listed = rows.into_iter().map(|(generation, written)| Listed {
                generation,
                sha256: written.sha256,
                at: written.created,
                by: written.by.to_string(),
            });
            LayerHistory {
                owner,
                file,
                history: listed.collect(),
            }
        },
    )
}

fn missing_layer(owner: &str, file: &str) -> Failure {
    Failure::not_found(format!(
        "{owner} has no config layer {file}: write it with PUT /config/{owner}/{file}"
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
        ("if-match" = Option<String>, Header, description = "The entity tag of the generation that you read"),
    ),
    request_body(content = Option<String>, content_type = "text/plain", description = "NAME=value lines"),
    responses(
        (status = 200, description = "The newest generation already has this content", body = String, content_type = "text/plain"),
        (status = 201, description = "A new generation is written", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
        openapi::Body,
        openapi::Unprocessable,
    )
)]
pub(crate) async fn put(
    State(catalogue): State<Arc<Catalogue>>,
    Names((owner, file)): Names<(String, String)>,
    request: Write,
) -> Result<Response, Failure> {
    let layer_file = LayerFile::parse(&owner, &file)?;
    let by = request.by.clone();
    let precondition =
        conditional::precondition(&request.headers, |number| [etag::generation(number)]);
    let bytes = request.bytes(config::MAX_FILE_BYTES).await?;
    let written = configure(&catalogue, layer_file, precondition, bytes, by).await?;
    let generation = written.generation;
    let (status, verb) = if written.is_new {
        (StatusCode::CREATED, "is now")
    } else {
        (StatusCode::OK, "is unchanged at")
    };
    let mut text = format!("{file} of {owner} {verb} generation {generation}\n");
    if let Some(note) = &written.note {
        let _ = writeln!(text, "{note}");
    }
    for warning in &written.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let mut response = respond(status, TEXT, text);
    let tag = etag::generation(generation);
    response
        .headers_mut()
        .insert(header::ETAG, text_value(&tag));
    Ok(response)
}

/// The merged config that an app receives, in the config file format.
#[utoipa::path(
    get,
    path = "/config/{app}/",
    tag = "config",
    params(
        ("app" = openapi::App, Path),
        ("environment" = Option<openapi::Channel>, Query, description = "Include the layer of this environment"),
    ),
    responses(
        (status = 200, description = "NAME=value lines", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
        openapi::Unprocessable,
    )
)]
pub(crate) async fn merged(
    State(catalogue): State<Arc<Catalogue>>,
    Names(owner): Names<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if owner == DEFAULT_OWNER {
        return Err(Failure::not_found(
            "_default has only one layer: request /config/_default/_default.config",
        ));
    }
    let app: AppName = owner.parse().map_err(Error::InvalidName)?;
    let environment: Option<EnvironmentName> = parameter(uri.query(), "environment")?;
    let layers = releases::current_layers(&catalogue, &app, environment.as_ref()).await?;
    if layers.is_empty() {
        return Err(Error::NoConfig(app).into());
    }
    let layers: Vec<Config> = layers.into_iter().map(|(_, parsed)| parsed).collect();
    let merged = config::merge(&layers);
    let pairs = merged
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    tagged_by_digest(&headers, TEXT, config::render(pairs))
}
