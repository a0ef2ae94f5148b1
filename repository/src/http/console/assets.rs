//! The style of the pages, and a script for what makes them pleasant: no page needs it.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use repository_api::Digest;
use sha2::{Digest as _, Sha256};

use crate::http::answer::answer;
use crate::http::failure::Failure;

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

/// In the address of each: another version of the server has other addresses.
static MARK: LazyLock<String> = LazyLock::new(|| {
    let mut sum = Sha256::new();
    for asset in &ASSETS {
        sum.update(asset.content);
    }
    Digest::new(sum.finalize().into()).to_string()[..12].to_owned()
});

pub(super) fn path(name: &str) -> String {
    format!("/assets/{}-{name}", *MARK)
}

pub(super) async fn get(Path(file): Path<String>) -> Result<Response, Failure> {
    let found = file
        .strip_prefix(MARK.as_str())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|name| ASSETS.iter().find(|asset| asset.name == name))
        .ok_or_else(|| Failure::not_found("it belongs to another version: load the page again"))?;
    let mut response = answer(StatusCode::OK, found.media_type, found.content);
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}
