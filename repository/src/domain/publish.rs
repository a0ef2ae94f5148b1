//! Publishing an artefact.
//!
//! 1. [`Publisher::admit`], before the bytes arrive: refuses a sealed or purged version, other bytes, and an upload
//!    over the quota
//! 2. [`Publisher::publish`], once they have arrived: makes the blob durable and writes the entry that references it
//! 3. if another blob holds the same bytes already, checks it, and replaces it if it is damaged

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use repository_api::{AppName, Digest, FileName, VersionName};

use super::catalogue::{AppLog, Catalogue, Decision};
use super::completion::run_to_completion;
use super::error::Error;
use super::event::AppEvent;
use super::state::app::AppState;
use crate::storage::blob::Upload;
use crate::storage::keys::BlobId;

#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) app: AppName,
    pub(crate) version: VersionName,
    pub(crate) file: FileName,
}

/// A complete upload that is neither durable nor referenced yet.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) upload: Upload,
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
}

#[derive(Debug)]
pub(crate) struct Published {
    /// `false` if the same bytes were published earlier.
    pub(crate) is_new: bool,
    pub(crate) sha256: Digest,
}

#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    catalogue: Arc<Catalogue>,
    /// Maximum size of an app's artefacts in bytes, unless its policy sets another.
    quota: Option<u64>,
    /// The age from which `gc` may delete an unreferenced blob.
    gc_age: Duration,
}

/// How the log refers to the uploaded bytes.
enum Outcome {
    /// By the new blob.
    Referenced,
    /// By this other blob.
    Duplicate(BlobId),
}

impl Publisher {
    pub(crate) fn new(catalogue: Arc<Catalogue>, quota: Option<u64>, gc_age: Duration) -> Self {
        Self {
            catalogue,
            quota,
            gc_age,
        }
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Refuses an upload by its declared digest and length, before the bytes arrive.
    pub(crate) async fn admit(
        &self,
        address: &Address,
        sha256: Option<Digest>,
        length: Option<u64>,
    ) -> Result<(), Error> {
        if let Some(app) = self.catalogue.app(&address.app).await? {
            app.read(|state| {
                refuse_immutable(state, address, sha256)?;
                let exists = state
                    .version(&address.version)
                    .is_some_and(|version| version.file(&address.file).is_some());
                match length {
                    Some(length) if !exists => self.refuse_over_quota(&address.app, state, length),
                    _ => Ok(()),
                }
            })?;
        }
        match length {
            Some(length) => self.refuse_over_quota(&address.app, &AppState::default(), length),
            None => Ok(()),
        }
    }

    /// Publishes the bytes, even if the caller goes away.
    pub(crate) async fn publish(
        &self,
        address: Address,
        received: Received,
        by: String,
    ) -> Result<Published, Error> {
        let publisher = self.clone();
        run_to_completion(async move { publisher.commit(&address, received, &by).await }).await
    }

    async fn commit(
        &self,
        address: &Address,
        received: Received,
        by: &str,
    ) -> Result<Published, Error> {
        let (size, sha256) = (received.size, received.sha256);
        let blob = received.upload.finish().await?;
        let storage = self.catalogue.storage();
        let app = self.catalogue.app_for_write(&address.app);
        let Address { version, file, .. } = address;
        let mut has_tried = false;
        let outcome = app
            .commit(by, |state| {
                refuse_immutable(state, address, Some(sha256))?;
                let existing = state
                    .version(version)
                    .and_then(|version| version.file(file));
                if let Some(record) = existing {
                    // This upload's own entry: the answer to its first attempt was lost.
                    let outcome = if record.blob == blob {
                        Outcome::Referenced
                    } else {
                        Outcome::Duplicate(record.blob)
                    };
                    return Ok(Decision::Unchanged(outcome));
                }
                self.refuse_expired(blob)?;
                self.refuse_over_quota(&address.app, state, size)?;
                has_tried = true;
                let event = AppEvent::Publish {
                    version: version.clone(),
                    file: file.clone(),
                    blob,
                    size,
                    sha256,
                };
                Ok(Decision::Append(vec![event], Outcome::Referenced))
            })
            .await;
        match outcome {
            Ok(Outcome::Referenced) => Ok(Published {
                is_new: true,
                sha256,
            }),
            Ok(Outcome::Duplicate(existing)) => {
                if self.is_intact(existing, size, sha256).await {
                    storage.delete_blob(blob).await;
                } else {
                    self.heal(&app, address, (existing, blob), by).await?;
                }
                Ok(Published {
                    is_new: false,
                    sha256,
                })
            }
            Err(error) => {
                // After an error of the store, the log may reference the blob, so the blob stays.
                if error.is_refusal() || !has_tried {
                    storage.delete_blob(blob).await;
                }
                Err(error)
            }
        }
    }

    /// Whether a blob still has this size and digest.
    async fn is_intact(&self, blob: BlobId, size: u64, sha256: Digest) -> bool {
        match self.catalogue.storage().digest_of(blob).await {
            Ok(Some(found)) => found == (size, sha256),
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(error = %error.chain(), "failed to read a blob: the new upload replaces it");
                false
            }
        }
    }

    /// Replaces a damaged blob by one that has the right bytes.
    async fn heal(
        &self,
        app: &AppLog,
        address: &Address,
        (damaged, intact): (BlobId, BlobId),
        by: &str,
    ) -> Result<(), Error> {
        let Address { version, file, .. } = address;
        let is_healed = app
            .commit(by, |state| {
                refuse_immutable(state, address, None)?;
                self.refuse_expired(intact)?;
                let existing = state
                    .version(version)
                    .and_then(|version| version.file(file));
                match existing {
                    Some(record) if record.blob == damaged => {}
                    record => {
                        let is_ours = record.is_some_and(|record| record.blob == intact);
                        return Ok(Decision::Unchanged(is_ours));
                    }
                }
                let event = AppEvent::Heal {
                    version: version.clone(),
                    file: file.clone(),
                    blob: intact,
                };
                Ok(Decision::Append(vec![event], true))
            })
            .await?;
        let unreferenced = if is_healed {
            tracing::warn!(app = %address.app, %version, %file, "the stored bytes were damaged: the new upload replaces them");
            damaged
        } else {
            intact
        };
        self.catalogue.storage().delete_blob(unreferenced).await;
        Ok(())
    }

    /// Refuses a blob that `gc` may soon treat as unreferenced.
    fn refuse_expired(&self, blob: BlobId) -> Result<(), Error> {
        if blob.age(SystemTime::now()) < self.gc_age / 2 {
            Ok(())
        } else {
            Err(Error::UploadExpired)
        }
    }

    fn refuse_over_quota(&self, app: &AppName, state: &AppState, more: u64) -> Result<(), Error> {
        match state.policy.quota.or(self.quota) {
            Some(quota) if state.bytes.saturating_add(more) > quota => Err(Error::OverQuota {
                app: app.clone(),
                quota,
                used: state.bytes,
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses what no later entry can allow, so a stale state is good enough.
fn refuse_immutable(
    state: &AppState,
    address: &Address,
    sha256: Option<Digest>,
) -> Result<(), Error> {
    let Address { app, version, file } = address.clone();
    if state.is_purged(&version) {
        return Err(Error::Purged { app, version });
    }
    let Some(found) = state.version(&version) else {
        return Ok(());
    };
    match (found.file(&file), sha256) {
        (Some(record), Some(received)) if record.sha256 != received => Err(Error::FileDiffers {
            existing: record.sha256.into(),
            app,
            version,
            file,
            received: received.into(),
        }),
        (None, _) if found.is_sealed() => Err(Error::Sealed { app, version, file }),
        _ => Ok(()),
    }
}
