//! What is to be started: from a repository's release document, or from a plain file server.
//!
//! 1. ask for the document
//! 2. check its statement against the reference that was asked for
//! 3. check each layer against its digest
//! 4. choose the artefact for this machine

mod document;
mod plain;

use repository_api::{Digest, VersionName};

use crate::exit::{Exit, Failure};
use crate::repository::attempt::Attempt;
use crate::repository::{Document, Repository};
use crate::settings::Settings;
use document::Problem;

/// A release, checked, whichever kind of server it came from.
#[derive(Debug)]
pub(crate) struct Release {
    /// `None` from a plain file server, which has no versions.
    pub(crate) version: Option<VersionName>,
    pub(crate) number: Option<u64>,
    pub(crate) artefact: Wanted,
    /// In the order in which later wins.
    pub(crate) layers: Vec<Layer>,
}

/// The artefact to fetch.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) path: String,
    pub(crate) file: String,
    /// Bytes.
    pub(crate) size: Option<u64>,
    /// `None` where a plain file server has no checksum and `BOOTSTRAP_ALLOW_UNVERIFIED` permits that.
    pub(crate) sha256: Option<Digest>,
}

pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

/// Shows no content: it may hold secrets.
impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layer({})", self.name)
    }
}

/// Finds the release that the settings ask for; waits for it where that is wanted.
pub(crate) async fn find(repository: &Repository, settings: &Settings) -> Result<Release, Failure> {
    if !repository.waits() {
        return find_now(repository, settings).await;
    }
    let what = format!("waiting for {}", settings.app);
    let look = async || {
        find_now(repository, settings)
            .await
            .map_err(|failure| match failure.exit {
                Exit::NotFound => Attempt::transient(failure.chain()),
                _ => Attempt::Fatal(failure),
            })
    };
    repository.retry.until_deadline(&what, look).await
}

async fn find_now(repository: &Repository, settings: &Settings) -> Result<Release, Failure> {
    let reference = settings.app.resolved();
    let path = repository_api::routes::release(
        &settings.app.app,
        &reference,
        settings.environment.as_ref(),
    );
    // A document whose layers do not match their digests is fetched once more: the first may have
    // been cut or mixed up on the way.
    let mut refetched = false;
    loop {
        let body = match repository.document(&path).await? {
            Document::Found(body) => body,
            Document::Missing(detail) => return Err(Failure::new(Exit::NotFound, detail)),
            Document::Absent if settings.app.reference.is_none() => {
                return plain::find(repository, settings).await;
            }
            Document::Absent => {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!(
                        "{} answered 404, and not as a repository does: only a bare {} can come from a plain file server",
                        repository.origin().shown(&path),
                        settings.app.app
                    ),
                ));
            }
        };
        match document::read(&body, settings, &reference) {
            Ok(release) => return Ok(release),
            Err(Problem::Digest(failure)) if !refetched => {
                refetched = true;
                tracing::warn!("{}; fetching it once more", failure.chain());
            }
            Err(Problem::Digest(failure) | Problem::Other(failure)) => return Err(failure),
        }
    }
}
