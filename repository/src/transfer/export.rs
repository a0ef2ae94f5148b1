//! A tree of everything: any static server can serve it, and `import` makes a repository of it again.
//!
//! ```text
//! log/{app}.jsonl                           what happened, an entry a line: what import reads
//! artefacts/{app}/{version}/{file}          and {file}.sha256
//! config/{app}/{app}.config                 the newest of each layer
//! channels/{app}/{channel}                  the release that it points at
//! releases/{app}/{reference}                the documents that bootstrap asks for, with all layers
//! files/{app}/{app}.tgz                     the artefact of latest, as the original design had it
//! ```
//!
//! What is there already and has the right bytes is left: a second export takes up where one was cut off.
//! What was purged since the last one goes from the tree, too.

mod app;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Repository;
use crate::cli::output::{Progress, complain};
use crate::domain::catalogue::AppState;
use crate::http::failure::Failure;
use crate::storage::keys::Owner;
use crate::storage::{Enlisted, StorageError};
use app::{Export, Outcome};
use tree::Tree;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("{}", .0.detail)]
    Repository(Failure),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("failed to write {path:?}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} has a history that is not the beginning of what the store has, so it is the backup of another repository, or the store has lost something: export into an empty directory"
    )]
    Other { path: PathBuf },
    #[error("failed to write an entry down")]
    Encode(#[from] serde_json::Error),
    #[error("{0} changed all the time: export again")]
    Unsteady(String),
    #[error(
        "{0} artefacts are damaged or missing, and not in the export: publish the same files again, or purge those versions, and export again"
    )]
    Damaged(usize),
    #[error("{0} apps are not in the export: mend what is said of them, and export again")]
    Failed(usize),
}

impl ExportError {
    /// With all that caused it.
    fn chain(&self) -> String {
        match self {
            Self::Storage(error) => error.chain(),
            error => error.to_string(),
        }
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        Self::Repository(failure)
    }
}

/// The last line of an exported log: how many entries there are, and the digest of their lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) entries: u64,
    pub(crate) sha256: repository_api::Digest,
}

/// What is purged or healed while its bytes are copied makes it necessary to begin an app again.
const ATTEMPTS: usize = 10;

/// Exports everything, and says what it has done after each app. What is damaged is named and passed over, and
/// then the export fails.
pub(crate) async fn export(
    repository: &Repository,
    root: &Path,
    progress: &mut Progress,
) -> Result<(), ExportError> {
    let owners = repository.storage.owners().await?;
    let tree = Tree::open(root)?;
    refuse_strangers(&tree, &owners)?;
    let (mut damaged, mut failed) = (0, 0);
    // The layer under every app last: so it has every generation that an app's releases name.
    for owner in owners.keys().rev() {
        match export_app(repository, &tree, owner, progress).await {
            Ok(count) => damaged += count,
            // Of the disk that is written to: it would fail for the next one, too.
            Err(error @ (ExportError::Write { .. } | ExportError::Other { .. })) => {
                return Err(error);
            }
            Err(error) => {
                failed += 1;
                complain(&format!("{owner} is left out: {}", error.chain()));
            }
        }
    }
    tree.close()?;
    match (damaged, failed) {
        (0, 0) => Ok(()),
        (0, failed) => Err(ExportError::Failed(failed)),
        (damaged, _) => Err(ExportError::Damaged(damaged)),
    }
}

/// A log in the tree of an app that the store does not have is another repository's.
fn refuse_strangers(tree: &Tree, owners: &BTreeMap<Owner, Enlisted>) -> Result<(), ExportError> {
    for name in tree.names("/log")? {
        let owner = name.strip_suffix(".jsonl");
        let owner = owner.and_then(|name| name.parse::<Owner>().ok());
        if owner.is_some_and(|owner| !owners.contains_key(&owner)) {
            return Err(ExportError::Other {
                path: tree.path(&format!("/log/{name}")),
            });
        }
    }
    Ok(())
}

/// Returns how many artefacts are damaged.
async fn export_app(
    repository: &Repository,
    tree: &Tree,
    owner: &Owner,
    progress: &mut Progress,
) -> Result<usize, ExportError> {
    for _ in 0..ATTEMPTS {
        let mut export = Export {
            repository,
            tree,
            owner,
            state: AppState::default(),
            damaged: 0,
            new: 0,
            progress,
        };
        if let Outcome::Done = export.all().await? {
            return Ok(export.damaged);
        }
    }
    Err(ExportError::Unsteady(owner.to_string()))
}
