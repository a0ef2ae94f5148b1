//! The release to start, from a repository's release document or from a plain file server.
//!
//! 1. fetch the document; [`plain`]: or, without one, the files of a plain file server
//! 2. [`document`]: with trusted keys, check its signature
//! 3. check its statement against the requested reference
//! 4. check each layer against its digest
//! 5. choose the artefact for this machine
//!
//! [`offline`] saves the release for starts without the repository.

mod document;
pub(crate) mod offline;
mod plain;
mod verified;

use repository_api::Reference;

use crate::exit::{Exit, Failure};
use crate::repository::attempt::Attempt;
use crate::repository::{Document, Repository};
use crate::settings::{Settings, Trust};
use document::Problem;
pub(crate) use verified::{Release, Wanted};

/// Finds the release that the settings name; with `BOOTSTRAP_WAIT`, waits until it is published.
pub(crate) async fn find(repository: &Repository, settings: &Settings) -> Result<Release, Failure> {
    if !repository.waits() {
        return find_now(repository, settings).await;
    }
    let request = format!("waiting for {}", settings.app);
    let look = async || {
        find_now(repository, settings)
            .await
            .map_err(|failure| match failure.exit {
                Exit::NotFound => Attempt::transient(failure.chain()),
                _ => Attempt::Fatal(failure),
            })
    };
    repository.retry.until_deadline(&request, look).await
}

/// Refuses `latest` and versions if trusted keys or a floor demand a numbered release.
fn refuse_unnumbered(reference: &Reference, settings: &Settings) -> Result<(), Failure> {
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
            "{variable} allows only numbered releases, and {} is not one: use {app}@r42, or a channel such as {app}@stable",
            settings.app
        ),
    ))
}

async fn find_now(repository: &Repository, settings: &Settings) -> Result<Release, Failure> {
    let reference = settings.app.resolved();
    refuse_unnumbered(&reference, settings)?;
    let path = repository_api::routes::release(
        &settings.app.app,
        &reference,
        settings.environment.as_ref(),
    );
    // A document whose layers do not match their digests is fetched once more: a proxy can have cut or
    // mixed up the first answer.
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
                        "{} answered 404 without a problem document, so it isn't a repository: only a bare {} can come from a plain file server",
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

/// Reads and verifies a release document that another request returned.
pub(crate) fn read(body: &[u8], settings: &Settings) -> Result<Release, Failure> {
    document::read(body, settings, &settings.app.resolved()).map_err(Into::into)
}
