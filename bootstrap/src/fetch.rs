//! Fetches the artefact's bytes into a file beside the trees.
//!
//! 1. [`file`]: open the file; an interrupted download is resumed
//! 2. [`download`]: request the rest by `Range` and `If-Range`, or the whole file;
//!    [`content_range`]: accept only the exact rest
//! 3. [`intake`]: hash the bytes while they arrive, and unpack them unless the release must be signed
//! 4. retry until the file is complete or the deadline is near
//! 5. verify size and digest; after a mismatch, fetch the whole file once more

mod content_range;
mod download;
mod file;
mod intake;

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use repository_api::Digest;
use repository_api::units::show_size;

use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::release::Wanted;
use crate::repository::Repository;
use crate::tree::LockedTrees;
use crate::unpack::Rules;
#[cfg(fuzzing)]
pub(crate) use content_range::continues;
use download::{Download, refuse_size};
use intake::Unpacked;

/// The plan of a fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) rules: Rules,
    /// Whether an archive is unpacked while it arrives. If the release must be signed, the digest is
    /// verified first.
    pub(crate) unpack_while_fetching: bool,
    /// The file of the download.
    pub(crate) path: &'a Path,
    /// The exit code for bytes that differ from the release.
    pub(crate) damaged: Exit,
    pub(crate) json: bool,
}

/// A fetched artefact: its digest, the open file that was hashed, and the unpacking archive.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) sha256: Digest,
    pub(crate) file: File,
    pub(crate) unpacked: Option<Unpacked>,
}

/// Fetches an artefact.
pub(crate) async fn fetch(
    repository: &Repository,
    wanted: &Wanted,
    locked: &LockedTrees<'_>,
    plan: Plan<'_>,
) -> Result<Fetched, Failure> {
    let Plan { rules, path, .. } = plan;
    refuse_size(wanted, rules.limits, wanted.size)?;
    let begin = Instant::now();
    let file = file::open(path)?;
    let mut download = Download {
        repository,
        wanted,
        rules,
        locked,
        unpack_while_fetching: plan.unpack_while_fetching,
        path,
        file,
        intake: None,
        etag: None,
        contradiction: None,
        progress: Progress::new(&wanted.file, wanted.size, plan.json),
    };
    download.adopt()?;
    let resumed = download.bytes();
    let mut refetched = false;
    let (bytes, digest, unpacked) = loop {
        let request = format!("GET {}", repository.origin().shown(&wanted.path));
        repository
            .retry
            .until_deadline(&request, async || download.attempt().await)
            .await?;
        let bytes = download.bytes();
        let (digest, unpacked) = download.finish()?;
        let expected = wanted.sha256.unwrap_or(digest);
        let reason = match download.contradiction.take() {
            None if digest == expected => break (bytes, digest, unpacked),
            None => format!("expected sha256:{expected}, found sha256:{digest}"),
            Some(reason) => reason,
        };
        drop(unpacked);
        let failure = Failure::new(
            plan.damaged,
            format!("{} is damaged: {reason}", wanted.file),
        );
        download.restart()?;
        if refetched {
            return Err(failure);
        }
        refetched = true;
        tracing::warn!("{}; fetching it once more", failure.chain());
    };
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let from = if resumed > 0 && !refetched {
        format!(", resumed at {}", show_size(resumed))
    } else {
        String::new()
    };
    let file = download.file;
    drop(download.progress);
    tracing::info!(
        stage = "fetch",
        bytes,
        elapsed_ms,
        "fetched {}: {} in {elapsed_ms} ms{from}",
        wanted.file,
        show_size(bytes)
    );
    Ok(Fetched {
        sha256: digest,
        file,
        unpacked,
    })
}
