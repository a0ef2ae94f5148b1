//! What is to be started: from a repository's release document, or from a plain file server.
//!
//! 1. ask for the document
//! 2. with trusted keys, check its signature
//! 3. check its statement against the reference that was asked for
//! 4. check each layer against its digest
//! 5. choose the artefact for this machine

mod document;
pub(crate) mod kept;
mod plain;

use repository_api::{Digest, Reference, VersionName, config};

use crate::exit::{Exit, Failure};
use crate::repository::attempt::Attempt;
use crate::repository::{Document, Repository};
use crate::settings::{Settings, Trust};
use crate::verify::digest_of;
use document::Problem;
use kept::Kept;

/// A release, checked, whichever kind of server it came from.
#[derive(Debug)]
pub(crate) struct Release {
    /// `None` from a plain file server, which has no versions.
    pub(crate) version: Option<VersionName>,
    pub(crate) number: Option<u64>,
    pub(crate) artefact: Wanted,
    /// In the order in which later wins.
    pub(crate) layers: Vec<Layer>,
    /// What it can be made of again while the repository is away.
    pub(crate) kept: Kept,
}

impl Release {
    /// A digest of what an app gets: its artefact, and the config as it applies. A comment more in a
    /// layer, or a new number for the same, is no change.
    pub(crate) fn substance(&self) -> Digest {
        let mut text = format!("{:?} {:?}\n", self.artefact.file, self.artefact.sha256);
        let parsed: Result<Vec<_>, _> = self
            .layers
            .iter()
            .map(|layer| config::parse(&layer.content))
            .collect();
        match parsed {
            Ok(files) => text.push_str(&format!("{:?}", config::merge(&files))),
            // What does not parse is compared as it stands.
            Err(_) => self
                .layers
                .iter()
                .for_each(|layer| text.push_str(&format!("{:?}", layer.content))),
        }
        digest_of(text.as_bytes())
    }
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

/// With trusted keys only a numbered release will do, and only releases and channels have numbers.
fn refuse_what_is_never_signed(reference: &Reference, settings: &Settings) -> Result<(), Failure> {
    let numbered = matches!(reference, Reference::Release(_) | Reference::Channel(_));
    let Trust { keys, min_release } = &settings.trust;
    if numbered || (keys.is_none() && min_release.is_none()) {
        return Ok(());
    }
    let variable = if keys.is_some() {
        "BOOTSTRAP_TRUSTED_KEYS_FILE"
    } else {
        "BOOTSTRAP_MIN_RELEASE"
    };
    let app = &settings.app.app;
    Err(Failure::new(
        Exit::NotAllowed,
        format!(
            "{} names no numbered release, and {variable} allows no other: write {app}@r42 or a channel such as {app}@stable",
            settings.app
        ),
    ))
}

async fn find_now(repository: &Repository, settings: &Settings) -> Result<Release, Failure> {
    let reference = settings.app.resolved();
    refuse_what_is_never_signed(&reference, settings)?;
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

/// Reads a release document that came by another way than [`find`].
pub(crate) fn read(body: &[u8], settings: &Settings) -> Result<Release, Failure> {
    document::read(body, settings, &settings.app.resolved())
        .map_err(|(Problem::Digest(failure) | Problem::Other(failure))| failure)
}
