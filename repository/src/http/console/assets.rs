//! The stylesheet and the script of the console. Every page also works without the script.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use repository_api::Digest;
use sha2::{Digest as _, Sha256};

use crate::http::failure::Failure;
use crate::http::response::respond;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "console.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("assets/console.css"),
    },
    Asset {
        name: "console.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/console.js"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        content: include_str!("assets/icon.svg"),
    },
];

/// Part of each asset's path. It changes with the content, so browsers can cache assets forever.
static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let mut sum = Sha256::new();
    for asset in &ASSETS {
        sum.update(asset.content);
    }
    Digest::new(sum.finalize().into()).to_string()[..12].to_owned()
});

pub(super) fn path(name: &str) -> String {
    format!("/assets/{}-{name}", *FINGERPRINT)
}

pub(super) async fn get(Path(file): Path<String>) -> Result<Response, Failure> {
    let found = file
        .strip_prefix(FINGERPRINT.as_str())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|name| ASSETS.iter().find(|asset| asset.name == name))
        .ok_or_else(|| {
            Failure::not_found(
                "this asset belongs to another version of the server: reload the page",
            )
        })?;
    let mut response = respond(StatusCode::OK, found.media_type, found.content);
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}
