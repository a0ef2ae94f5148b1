//! `/releases/{app}/{release}.minisig`: a release's signature, made by minisign over its statement. It
//! is given once; whether to trust it is for those who hold the keys, and not for the repository.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use minisign_verify::Signature;
use repository_api::{AppName, ReleaseNumber};

use super::{Names, TEXT, answer, tag_of, tagged};
use crate::Repository;
use crate::domain::catalogue::{Decision, Event};
use crate::domain::completion::to_the_end;
use crate::domain::releases::unknown_release;
use crate::http::access::Who;
use crate::http::failure::Failure;
use crate::http::openapi;
use crate::http::receive;

const ENDING: &str = ".minisig";

/// Bytes of a signature at the most: minisign's own has four short lines.
const MAX: usize = 16 << 10;

/// The release that the last segment of such a path names.
pub(super) fn release_of(segment: &str) -> Option<&str> {
    segment.strip_suffix(ENDING)
}

fn number(segment: &str) -> Result<ReleaseNumber, Failure> {
    let release = release_of(segment).ok_or_else(|| {
        Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "a release is made by PUT /channels/{app}/{channel}; what can be put here is its signature, as r42.minisig",
        )
    })?;
    release
        .parse()
        .map_err(|error: repository_api::NameError| Failure::bad_request(error.to_string()))
}

pub(super) async fn get(
    repository: &Repository,
    app: &AppName,
    segment: &str,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let number = number(segment)?;
    let entry = repository.catalogue.known(app).await?;
    let found = entry.read(|state| {
        let release = state.releases.get(&number.get());
        release
            .ok_or_else(|| unknown_release(app, number))
            .map(|release| release.minisig.clone())
    })?;
    let Some(text) = found else {
        return Err(Failure::not_found(format!(
            "release {number} of {app} is not signed: sign GET /releases/{app}/{number}?statement with minisign -Sm, and PUT the .minisig file here"
        )));
    };
    tagged(headers, TEXT, &tag_of(text.as_bytes()), text)
}

/// Gives a release its signature: `{reference}` is `r42.minisig`.
#[utoipa::path(
    put,
    path = "/releases/{app}/{reference}",
    tag = "releases",
    params(
        ("app" = openapi::App, Path),
        ("reference" = String, Path, description = "r42.minisig", pattern = r"^r[1-9][0-9]{0,8}\.minisig$"),
    ),
    request_body(content = String, content_type = "text/plain", description = "The file that minisign wrote"),
    responses(
        (status = 200, description = "It is there", body = String, content_type = "text/plain"),
        (status = 201, description = "It is signed", body = String, content_type = "text/plain"),
        openapi::Refused,
        openapi::Absent,
        (status = 405, description = "It is no signature that is put", body = openapi::ProblemDocument, content_type = "application/problem+json"),
        openapi::Contradicts,
        openapi::Body,
        openapi::Unusable,
    )
)]
pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((app, segment)): Names<(AppName, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let number = number(&segment)?;
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let body = receive::small(&repository, &parts.headers, body, MAX).await?;
    let minisig = checked(&body)?;
    to_the_end(async move { set(&repository, &app, number, minisig, &by).await }).await
}

/// The text of a signature in the form that bootstrap takes.
fn checked(body: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|text| Signature::decode(text).is_ok())
        .ok_or_else(|| {
            Failure::unprocessable(
                "the body is no signature: send the .minisig file that minisign -Sm wrote",
            )
        })?;
    // Two bytes name the form, `ED` for the prehashed one; in base64 their first eight bits of ten.
    let prehashed = text
        .lines()
        .nth(1)
        .is_some_and(|line| line.starts_with("RU"));
    if !prehashed {
        return Err(Failure::unprocessable(
            "the signature is of minisign's old form: sign with minisign 0.10 or later, or with -H",
        ));
    }
    Ok(text.to_owned())
}

async fn set(
    repository: &Repository,
    app: &AppName,
    number: ReleaseNumber,
    minisig: String,
    by: &str,
) -> Result<Response, Failure> {
    let entry = repository.catalogue.known(app).await?;
    let is_new = entry
        .commit(&repository.storage, by, |state| {
            let Some(release) = state.releases.get(&number.get()) else {
                return Err(unknown_release(app, number));
            };
            match &release.minisig {
                Some(there) if *there == minisig => Ok(Decision::Settled(false)),
                Some(_) => Err(Failure::conflict(format!(
                    "release {number} of {app} has another signature, which stays: make another release if it is the wrong one"
                ))),
                None => {
                    let event = Event::Sign {
                        release: number.get(),
                        minisig: minisig.clone(),
                    };
                    Ok(Decision::Append(vec![event], true))
                }
            }
        })
        .await?;
    Ok(if is_new {
        let text = format!("{app} {number} is signed\n");
        answer(StatusCode::CREATED, TEXT, text)
    } else {
        answer(StatusCode::OK, TEXT, "unchanged\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREHASHED: &str = "untrusted comment: signature\nRUQ3+Vpub4DE5U6fQX2W2f8wYv6Uf2UnlosuCiHy8CeimjgTVpxlNN68foTLRv2DyFa3L2F0n2+3Phhtp7LEDTwF/iOhij99yg4=\ntrusted comment: x\nB+iEqYVeCIrT8gotvExCrV/ddrzszqYByX+6fx6Zu4HV7UtHRcSQHhjWgbq3zS0AWQAnp7pwXR+vq5diIFJpBA==\n";

    #[test]
    fn only_prehashed_signatures() {
        assert!(checked(PREHASHED.as_bytes()).is_ok());
        let old = PREHASHED.replace("\nRUQ3", "\nRWQ3");
        for bad in [old.as_str(), "", "nonsense", &PREHASHED[..100]] {
            let failure = checked(bad.as_bytes()).unwrap_err();
            assert_eq!(failure.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        }
    }
}
