//! `/files/{app}/{app}.tgz`: the legacy path that the original `startup.sh` fetches.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use repository_api::{AppName, Reference};

use crate::domain::catalogue::Catalogue;
use crate::domain::releases;
use crate::http::extract::Names;
use crate::http::failure::Failure;
use crate::http::handlers::artefact;
use crate::http::openapi;
use crate::http::response::{TEXT, tagged};
use crate::storage::Located;

/// Legacy path: the gzipped archive of `latest`, and its `.sha256`.
#[utoipa::path(
    get,
    path = "/files/{app}/{file}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("file" = String, Path, description = "{app}.tgz, or {app}.tgz.sha256"),
    ),
    responses(
        (status = 200, description = "The bytes", body = openapi::Binary, content_type = "application/octet-stream"),
        (status = 206, description = "The range of bytes", body = openapi::Binary, content_type = "application/octet-stream"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conditional,
        (status = 416, description = "The range is outside the file", body = openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    Names((app, file)): Names<(AppName, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let archive = format!("{app}.tgz");
    let sidecar = match file.strip_prefix(&archive) {
        Some("") => false,
        Some(".sha256") => true,
        _ => {
            return Err(Failure::not_found(format!(
                "/files/{app}/ serves only {archive}: request other files under /artefacts/{app}/"
            )));
        }
    };
    let record = gzipped(&catalogue, &app).await?;
    if sidecar {
        return tagged(
            &headers,
            TEXT,
            &format!("\"sha256-of-{}\"", record.sha256),
            record.sha256.line(&archive),
        );
    }
    artefact::serve(
        catalogue.storage(),
        &method,
        &headers,
        (&archive, record),
        "no-cache",
    )
    .await
}

/// The gzipped archive of `latest`: the original `startup.sh` pipes it into `tar xz`.
async fn gzipped(catalogue: &Catalogue, app: &AppName) -> Result<Located, Failure> {
    let resolved = releases::resolve(catalogue, app, &Reference::Latest).await?;
    let version = &resolved.statement.version;
    let chosen = releases::gzipped_archive(resolved.statement.artefacts, app, version)
        .map_err(|error| Failure::not_found(error.to_string()))?;
    let log = catalogue.known(app).await?;
    log.read(|state| Some(state.version(version)?.file(&chosen.file)?.located()))
        .ok_or_else(|| {
            Failure::not_found(format!(
                "{app} {version} changed during the request: retry it"
            ))
        })
}
