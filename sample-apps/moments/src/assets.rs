//! The style and the script of the page, as they are: there is no build step.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::handlers::Refusal;

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

/// In the address of each, so that one may be kept for ever: another release has other addresses.
static MARK: LazyLock<String> = LazyLock::new(|| {
    let mut sum = Sha256::new();
    for asset in &ASSETS {
        sum.update(asset.content);
    }
    format!("{:x}", Bytes::copy_from_slice(&sum.finalize()[..6]))
});

pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}-{name}", *MARK)
}

/// `GET /assets/{file}`. While one release takes over from another a page of either may ask here: a name is
/// enough, and only the address of this release is kept for ever.
pub(crate) async fn get(Path(file): Path<String>) -> Result<Response, Refusal> {
    let found = file
        .split_once('-')
        .and_then(|(mark, name)| Some((mark, ASSETS.iter().find(|asset| asset.name == name)?)));
    let Some((mark, asset)) = found else {
        let detail = "there is no such part of the page";
        return Err(Refusal::new(StatusCode::NOT_FOUND, detail));
    };
    let kept = if mark == MARK.as_str() {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, kept),
    ];
    Ok((headers, asset.content).into_response())
}
