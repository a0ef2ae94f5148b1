//! `/artefacts/{app}/{version}/{file}` and its `.sha256` sidecar.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use repository_api::{AppName, Digest, FileName, VersionName, routes};

use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::publish::{Address, Publisher};
use crate::domain::state::app::AppState;
use crate::domain::state::version::ArtefactRecord;
use crate::http::access::Access;
use crate::http::conditional::{self, Outcome};
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::range::{self, ByteRange};
use crate::http::receive::{self, Declared};
use crate::http::response::{TEXT, respond, tagged, text_value};
use crate::storage::{Located, Storage};

const SIDECAR: &str = ".sha256";
const IMMUTABLE: &str = "public, max-age=31536000, immutable, no-transform";
/// Used if reads need a token: shared caches must not serve the file to clients without a token.
const PRIVATE: &str = "private, max-age=31536000, immutable, no-transform";

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum-sha256");

/// Number of headers of a file response, without `Date`.
const HEADER_COUNT: usize = 14;

/// Files share their origin with the console. The sandbox prevents scripts in a file from acting as a console page.
const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

type FilePath = Names<(AppName, VersionName, String)>;

/// The artefact that a path names, and whether the path names its sidecar.
fn file_name(text: &str) -> Result<(FileName, bool), Failure> {
    let (name, sidecar) = match text.strip_suffix(SIDECAR) {
        Some(name) => (name, true),
        None => (text, false),
    };
    let name = name
        .parse::<FileName>()
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    Ok((name, sidecar))
}

/// The bytes of a file. `{file}.sha256` returns its line for `sha256sum -c`.
#[utoipa::path(
    get,
    path = "/artefacts/{app}/{version}/{file}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("file" = openapi::File, Path),
        ("range" = Option<String>, Header, description = "A range of bytes"),
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
    State(access): State<Arc<Access>>,
    Names((app, version, file)): FilePath,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (file, sidecar) = file_name(&file)?;
    let address = Address { app, version, file };
    let record = find(&catalogue, &address).await?;
    let file = address.file.as_str();
    if sidecar {
        let etag = format!("\"sha256-of-{}\"", record.sha256);
        return tagged(&headers, TEXT, &etag, record.sha256.line(file));
    }
    let cache_control = if access.reads_are_open() {
        IMMUTABLE
    } else {
        PRIVATE
    };
    let storage = catalogue.storage();
    let response = serve(storage, &method, &headers, (file, record), cache_control).await;
    match response {
        Err(failure) if failure.status.is_server_error() => {
            // Another replica may have purged or restored the bytes.
            let latest = find_latest(&catalogue, &address).await?;
            if latest.id == record.id {
                return Err(failure);
            }
            serve(storage, &method, &headers, (file, latest), cache_control).await
        }
        response => response,
    }
}

/// Finds an artefact in state that may be one second old.
async fn find(catalogue: &Catalogue, address: &Address) -> Result<Located, Error> {
    let app = catalogue.known_recently(&address.app).await?;
    match app.read(|state| look_up(state, address)) {
        Ok(record) => Ok(record),
        // The artefact may have been published within that second.
        Err(_) => find_latest(catalogue, address).await,
    }
}

async fn find_latest(catalogue: &Catalogue, address: &Address) -> Result<Located, Error> {
    let app = catalogue.known(&address.app).await?;
    app.read(|state| look_up(state, address))
}

fn look_up(state: &AppState, Address { app, version, file }: &Address) -> Result<Located, Error> {
    let found = state.existing(app, version)?;
    found
        .file(file)
        .map(ArtefactRecord::located)
        .ok_or_else(|| Error::UnknownFile {
            app: app.clone(),
            version: version.clone(),
            file: file.clone(),
            existing: found.files().map(|(name, _)| name.to_string()).collect(),
        })
}

/// Serves the whole file, a range, or 304 if the client's copy is current.
pub(crate) async fn serve(
    storage: &Storage,
    method: &Method,
    request: &HeaderMap,
    (name, blob): (&str, Located),
    cache_control: &'static str,
) -> Result<Response, Failure> {
    let etag = blob.sha256.etag();
    match conditional::evaluate(request, Some(&etag)) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            describe(response.headers_mut(), name, blob, &etag, cache_control);
            return Ok(response);
        }
        Outcome::Failed => {
            return Err(Failure::precondition(format!(
                "the file does not match the precondition, because its entity tag is {etag}: retry without a condition, or with this tag"
            )));
        }
    }
    let range = request
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let byte_range = match range {
        // RFC 9110 section 14.2: Range applies to GET only.
        Some(range) if *method == Method::GET && conditional::range_applies(request, &etag) => {
            range::parse(range, blob.size)
        }
        _ => ByteRange::Whole,
    };
    let (status, bytes) = match byte_range {
        ByteRange::Whole => (StatusCode::OK, 0..blob.size),
        ByteRange::Part(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        ByteRange::Unsatisfiable => {
            let failure = Failure::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!(
                    "the range lies outside the file, which has {} bytes: request a range within the file, or the whole file",
                    blob.size
                ),
            );
            let mut response = failure.into_response();
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_RANGE,
                text_value(&format!("bytes */{}", blob.size)),
            );
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            headers.insert(header::ETAG, text_value(&etag));
            return Ok(response);
        }
    };
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(storage.blob(blob, bytes.clone()).await?)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // Growing the map one header at a time would be slower.
    headers.reserve(HEADER_COUNT);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    describe(headers, name, blob, &etag, cache_control);
    headers.insert(header::CONTENT_LENGTH, (bytes.end - bytes.start).into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, blob.size);
        headers.insert(header::CONTENT_RANGE, text_value(&range));
    }
    Ok(response)
}

fn describe(
    headers: &mut HeaderMap,
    name: &str,
    blob: Located,
    etag: &str,
    cache_control: &'static str,
) {
    headers.insert(header::ETAG, text_value(etag));
    headers.insert(REPR_DIGEST, text_value(&blob.sha256.field()));
    headers.insert(CHECKSUM, text_value(&blob.sha256.to_string()));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(cache_control),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // File names contain no characters that need escaping.
    let attachment = ["attachment; filename=\"", name, "\""].concat();
    headers.insert(header::CONTENT_DISPOSITION, text_value(&attachment));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
}

/// Publishes an immutable file.
#[utoipa::path(
    put,
    path = "/artefacts/{app}/{version}/{file}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("file" = openapi::File, Path),
        ("x-checksum-sha256" = Option<openapi::Sha256>, Header, description = "The expected digest. Repr-Digest and Content-Digest also work"),
    ),
    request_body(content = Option<openapi::Binary>, content_type = "application/octet-stream", description = "The bytes of the file"),
    responses(
        (status = 200, description = "The same bytes were published earlier", body = String, content_type = "text/plain"),
        (status = 201, description = "The file is published", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Missing,
        openapi::Conflicts,
        openapi::Body,
    )
)]
pub(crate) async fn put(
    State(catalogue): State<Arc<Catalogue>>,
    State(publisher): State<Publisher>,
    Names((app, version, file)): FilePath,
    request: Write,
) -> Result<Response, Failure> {
    let (file, sidecar) = file_name(&file)?;
    let address = Address { app, version, file };
    if sidecar {
        return verify_checksum(&catalogue, &address, request).await;
    }
    let Write {
        by,
        headers,
        body,
        limits,
    } = request;
    let declared = Declared::read(&headers, limits.max_upload)?;
    publisher
        .admit(&address, declared.sha256, declared.length)
        .await?;
    let received = receive::receive(catalogue.storage(), limits, body, &declared).await?;
    let published = publisher.publish(address.clone(), received, by).await?;
    let status = if published.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let Address { app, version, file } = &address;
    let mut response = respond(status, TEXT, published.sha256.line(file.as_str()));
    let headers = response.headers_mut();
    headers.insert(header::ETAG, text_value(&published.sha256.etag()));
    headers.insert(
        header::LOCATION,
        text_value(&routes::artefact(app, version, file)),
    );
    Ok(response)
}

/// Verifies a checksum file that a client uploads. The server stores none, because it generates its own.
async fn verify_checksum(
    catalogue: &Catalogue,
    address: &Address,
    request: Write,
) -> Result<Response, Failure> {
    let record = find(catalogue, address).await?;
    let text = request.short().await?;
    let text = String::from_utf8_lossy(&text);
    let sent = Digest::from_line(&text).map_err(|error| Failure::bad_request(error.to_string()))?;
    let Address { app, version, file } = address;
    if sent != record.sha256 {
        return Err(Failure::conflict(format!(
            "the checksum does not match {file} of {app} {version}: the file has sha256:{}, the checksum is sha256:{sent}; check which file you published",
            record.sha256
        )));
    }
    let line = record.sha256.line(file.as_str());
    Ok(respond(StatusCode::OK, TEXT, line))
}
