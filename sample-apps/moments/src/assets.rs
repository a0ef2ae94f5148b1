//! The style sheet, script and icon of the page, served as they are in the sources: there is no build step.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::refusal::Refusal;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "moments.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("assets/moments.css"),
    },
    Asset {
        name: "moments.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/moments.js"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        content: include_str!("assets/icon.svg"),
    },
];

/// Digest of all assets. It is part of their addresses, so browsers can cache an asset forever: a release with
/// other assets has other addresses.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut sum = Sha256::new();
    for asset in &ASSETS {
        sum.update(asset.content);
    }
    format!("{:x}", Bytes::copy_from_slice(&sum.finalize()[..6]))
});

pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}-{name}", *DIGEST)
}

/// `GET /assets/{file}`. During a deploy, pages of both releases ask both. An asset of another release is answered
/// by name and not cached.
pub(crate) async fn get(Path(file): Path<String>) -> Result<Response, Refusal> {
    let found = file
        .split_once('-')
        .and_then(|(digest, name)| Some((digest, ASSETS.iter().find(|asset| asset.name == name)?)));
    let Some((digest, asset)) = found else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no such asset"));
    };
    let caching = if digest == DIGEST.as_str() {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, caching),
    ];
    Ok((headers, asset.content).into_response())
}
