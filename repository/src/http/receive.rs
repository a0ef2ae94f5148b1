//! Reads request bodies within limits of size and time, and verifies the digest that the client declared.

use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use repository_api::Digest;
use repository_api::units::show_size;
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use crate::domain::publish::Received;
use crate::storage::Storage;
use crate::storage::blob::Upload;

#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Maximum size of an artefact in bytes.
    pub(crate) max_upload: u64,
    /// Maximum duration of an upload.
    pub(crate) upload_timeout: Duration,
    /// Maximum time without data from the client.
    pub(crate) stall_timeout: Duration,
}

/// Digest and length that the client declares in headers.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) sha256: Option<Digest>,
    /// Bytes.
    pub(crate) length: Option<u64>,
}

impl Declared {
    /// Reads the headers. Refuses invalid requests before their body is read.
    pub(crate) fn read(headers: &HeaderMap, limit: u64) -> Result<Self, Failure> {
        if headers.contains_key(header::CONTENT_RANGE) {
            return Err(Failure::bad_request(
                "the repository does not accept partial uploads: send the whole file, without Content-Range",
            ));
        }
        let encoding = headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the repository does not decode uploads: send the file without Content-Encoding",
            ));
        }
        // hyper decodes chunked only. With another coding, the encoded bytes would be stored as the file.
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let is_supported = match (codings.next(), codings.next()) {
            (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
            (first, _) => first.is_none(),
        };
        if !is_supported {
            return Err(Failure::new(
                StatusCode::NOT_IMPLEMENTED,
                "the server supports no Transfer-Encoding except chunked: send the file without another coding",
            ));
        }
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > limit) {
            return Err(too_large(limit));
        }
        let mut sha256 = None;
        for name in ["repr-digest", "content-digest"] {
            for value in headers.get_all(name) {
                let digest = value
                    .to_str()
                    .map_err(|_| malformed(name))
                    .and_then(|text| {
                        Digest::from_field(text)
                            .map_err(|error| Failure::bad_request(format!("{name}: {error}")))
                    })?;
                agree(&mut sha256, digest)?;
            }
        }
        for value in headers.get_all("x-checksum-sha256") {
            let name = "x-checksum-sha256";
            let digest = value.to_str().map_err(|_| malformed(name))?;
            let digest = digest
                .trim()
                .parse()
                .map_err(|error| Failure::bad_request(format!("{name}: {error}")))?;
            agree(&mut sha256, Some(digest))?;
        }
        Ok(Self { sha256, length })
    }

    fn verify(&self, received: Digest) -> Result<(), Failure> {
        match self.sha256 {
            Some(expected) if expected != received => Err(Failure::bad_request(format!(
                "the body does not match the declared digest: expected sha256:{expected}, received sha256:{received}; send the file again"
            ))),
            _ => Ok(()),
        }
    }
}

fn malformed(name: &str) -> Failure {
    Failure::bad_request(format!("{name} must be printable ASCII"))
}

fn agree(known: &mut Option<Digest>, digest: Option<Digest>) -> Result<(), Failure> {
    match (*known, digest) {
        (Some(known), Some(digest)) if known != digest => Err(Failure::bad_request(
            "the headers declare different digests: send one digest",
        )),
        (_, None) => Ok(()),
        (_, Some(_)) => {
            *known = digest;
            Ok(())
        }
    }
}

fn too_large(limit: u64) -> Failure {
    let hint = if limit > MAX_SMALL {
        ": raise REPOSITORY_MAX_UPLOAD to allow larger files"
    } else {
        ": send a smaller body, or publish the data as an artefact under /artefacts/"
    };
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {}{hint}", show_size(limit)),
    )
}

/// Maximum size of a body other than an artefact.
const MAX_SMALL: u64 = 1 << 20;

/// Maximum duration of a body other than an artefact. The client is authorized only at the start of the request.
const SMALL_TIMEOUT: Duration = Duration::from_mins(2);

/// Streams a body into an upload.
pub(crate) async fn receive(
    storage: &Storage,
    limits: BodyLimits,
    body: Body,
    declared: &Declared,
) -> Result<Received, Failure> {
    let mut upload = storage.begin_blob().await?;
    let outcome = stream(limits, body, &mut upload)
        .await
        .and_then(|(size, sha256)| declared.verify(sha256).map(|()| (size, sha256)));
    match outcome {
        Ok((size, sha256)) => Ok(Received {
            upload,
            size,
            sha256,
        }),
        Err(failure) => {
            upload.abort().await;
            Err(failure)
        }
    }
}

async fn stream(
    limits: BodyLimits,
    mut body: Body,
    upload: &mut Upload,
) -> Result<(u64, Digest), Failure> {
    let limit = limits.max_upload;
    let deadline = Instant::now() + limits.upload_timeout;
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(chunk) = next_chunk(&mut body, limits.stall_timeout).await? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        if Instant::now() > deadline {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the upload timed out: upload again over a faster connection, or raise REPOSITORY_UPLOAD_TIMEOUT",
            ));
        }
        hash.update(&chunk);
        upload.write(&chunk).await?;
    }
    Ok((size, Digest::new(hash.finalize().into())))
}

/// Reads a body of up to `limit` bytes into memory.
pub(crate) async fn small(
    limits: BodyLimits,
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> Result<Vec<u8>, Failure> {
    let declared = Declared::read(headers, limit as u64)?;
    let mut bytes = Vec::new();
    let deadline = Instant::now() + SMALL_TIMEOUT;
    while let Some(chunk) = next_chunk(&mut body, limits.stall_timeout).await? {
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit as u64));
        }
        if Instant::now() > deadline {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the request body timed out: retry over a faster connection",
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    declared.verify(Digest::new(Sha256::digest(&bytes).into()))?;
    Ok(bytes)
}

async fn next_chunk(body: &mut Body, stall_timeout: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        let Ok(frame) = tokio::time::timeout(stall_timeout, body.frame()).await else {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the upload stalled: upload again, or raise REPOSITORY_STALL_TIMEOUT",
            ));
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => {
                return Err(Failure::bad_request(
                    "the connection closed before the upload was complete: upload again",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(headers: &[(&'static str, &str)]) -> Result<Declared, Failure> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Declared::read(&map, 100)
    }

    #[test]
    fn headers_are_checked_before_the_body() {
        let (one, two) = (Digest::new([1; 32]), Digest::new([2; 32]));
        let (one_field, one_hex, two_hex) = (one.field(), one.to_string(), two.to_string());
        assert_eq!(declared(&[]).unwrap().sha256, None);
        assert_eq!(
            declared(&[("repr-digest", &one_field), ("x-checksum-sha256", &one_hex)])
                .unwrap()
                .sha256,
            Some(one)
        );
        assert_eq!(declared(&[("content-length", "100")]).unwrap().sha256, None);
        let status =
            |headers: &[(&'static str, &str)]| declared(headers).unwrap_err().status.as_u16();
        assert_eq!(
            status(&[
                ("content-digest", &one_field),
                ("x-checksum-sha256", &two_hex)
            ]),
            400
        );
        assert_eq!(status(&[("x-checksum-sha256", "abc")]), 400);
        assert_eq!(status(&[("repr-digest", "sha-256=abc")]), 400);
        assert_eq!(status(&[("content-range", "bytes 0-1/2")]), 400);
        assert_eq!(status(&[("content-length", "101")]), 413);
        assert_eq!(status(&[("content-encoding", "gzip")]), 415);
        assert!(declared(&[("transfer-encoding", "Chunked")]).is_ok());
        for coding in ["gzip, chunked", "identity, chunked", "chunked, chunked"] {
            assert_eq!(status(&[("transfer-encoding", coding)]), 501, "{coding}");
        }
        let twice = [
            ("transfer-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
        ];
        assert_eq!(status(&twice), 501);
    }
}
