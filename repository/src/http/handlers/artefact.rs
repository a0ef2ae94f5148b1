//! `/artefacts/{app}/{version}/{file}` and its sidecar `.sha256`.

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
use crate::http::answer::{TEXT, answer, tagged, text_value};
use crate::http::conditional::{self, Outcome};
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::range::{self, Wanted};
use crate::http::receive::{self, Declared};
use crate::storage::{Located, Storage};

const SIDECAR: &str = ".sha256";
const IMMUTABLE: &str = "public, max-age=31536000, immutable, no-transform";
/// Where reads need a token: a cache that many share must not hand it to those who have none.
const PRIVATE: &str = "private, max-age=31536000, immutable, no-transform";

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum-sha256");

/// Of an answer with bytes; `Date` is not among them.
const HEADERS: usize = 14;

/// It shares its origin with the console: whatever a browser makes of it, it is no page of ours.
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

/// The bytes of a file; of `{file}.sha256`, its line for `sha256sum -c`.
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
        openapi::Absent,
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
    let answer = serve(storage, &method, &headers, (file, record), cache_control).await;
    match answer {
        Err(failure) if failure.status.is_server_error() => {
            // Another replica may have purged or healed the bytes.
            let now = find_now(&catalogue, &address).await?;
            if now.id == record.id {
                return Err(failure);
            }
            serve(storage, &method, &headers, (file, now), cache_control).await
        }
        answer => answer,
    }
}

/// Finds an artefact in a state that may be a second old.
async fn find(catalogue: &Catalogue, address: &Address) -> Result<Located, Error> {
    let app = catalogue.known_recently(&address.app).await?;
    match app.read(|state| look_up(state, address)) {
        Ok(record) => Ok(record),
        // It may have been published within that second.
        Err(_) => find_now(catalogue, address).await,
    }
}

async fn find_now(catalogue: &Catalogue, address: &Address) -> Result<Located, Error> {
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

/// The bytes: whole, a part, or none where the client's copy is current.
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
                "the file has other bytes than the request is for: its entity tag is {etag}; ask without a condition, or with this one"
            )));
        }
    }
    let range = request
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let wanted = match range {
        // RFC 9110 section 14.2: a range means something to GET only.
        Some(range) if *method == Method::GET && conditional::range_applies(request, &etag) => {
            range::wanted(range, blob.size)
        }
        _ => Wanted::Whole,
    };
    let (status, bytes) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..blob.size),
        Wanted::Part(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        Wanted::Unsatisfiable => {
            let failure = Failure::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!(
                    "the file has {} bytes, and none in the range that was asked for: ask for a range within it, or without one",
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
    // As many as there will be: growing costs more than all of them.
    headers.reserve(HEADERS);
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
    // A file's name has no character that would have to be quoted.
    let attachment = ["attachment; filename=\"", name, "\""].concat();
    headers.insert(header::CONTENT_DISPOSITION, text_value(&attachment));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
}

/// Publishes a file, which never changes.
#[utoipa::path(
    put,
    path = "/artefacts/{app}/{version}/{file}",
    tag = "artefacts",
    params(
        ("app" = openapi::App, Path),
        ("version" = openapi::Version, Path),
        ("file" = openapi::File, Path),
        ("x-checksum-sha256" = Option<openapi::Sha256>, Header, description = "The expected digest. Repr-Digest and Content-Digest work, too"),
    ),
    request_body(content = Option<openapi::Binary>, content_type = "application/octet-stream", description = "The bytes of the file"),
    responses(
        (status = 200, description = "The same bytes were published earlier", body = String, content_type = "text/plain"),
        (status = 201, description = "The file is published", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        openapi::Contradicts,
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
        return compare(&catalogue, &address, request).await;
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
    let mut response = answer(status, TEXT, published.sha256.line(file.as_str()));
    let headers = response.headers_mut();
    headers.insert(header::ETAG, text_value(&published.sha256.etag()));
    headers.insert(
        header::LOCATION,
        text_value(&routes::artefact(app, version, file)),
    );
    Ok(response)
}

/// Compares a checksum that a client sends. The server stores none, because it makes its own.
async fn compare(
    catalogue: &Catalogue,
    address: &Address,
    request: Write,
) -> Result<Response, Failure> {
    let record = find(catalogue, address).await?;
    let text = request.words().await?;
    let text = String::from_utf8_lossy(&text);
    let sent = Digest::from_line(&text).map_err(|error| Failure::bad_request(error.to_string()))?;
    let Address { app, version, file } = address;
    if sent != record.sha256 {
        return Err(Failure::conflict(format!(
            "the checksum is not that of {file} of {app} {version}: the file is sha256:{}, the checksum says sha256:{sent}",
            record.sha256
        )));
    }
    let line = record.sha256.line(file.as_str());
    Ok(answer(StatusCode::OK, TEXT, line))
}
