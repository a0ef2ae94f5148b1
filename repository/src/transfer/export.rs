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
//! Files that have the right bytes stay, so a second export resumes an interrupted one. Files of versions that
//! were purged since the last export are removed.

mod app;
mod log;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::storage::keys::Owner;
use crate::storage::{Enlisted, StorageError};
use app::Outcome;
use tree::Tree;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Repository(#[from] Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("failed to write {path:?}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} has a history that is not the beginning of the one in the store: it belongs to another repository, or the store has lost entries; export into an empty directory"
    )]
    Other { path: PathBuf },
    #[error("failed to encode an entry")]
    Encode(#[from] serde_json::Error),
    #[error("{0} changed during every attempt: export again")]
    Changing(String),
    #[error(
        "{0} artefacts are damaged or missing, and not in the export: publish the same files again, or purge those versions, and export again"
    )]
    Damaged(usize),
    #[error("{0} apps are not in the export: see the reasons above, and export again")]
    Failed(usize),
}

impl ExportError {
    /// The error with everything that caused it, in one line.
    fn chain(&self) -> String {
        match self {
            Self::Storage(error) => error.chain(),
            Self::Repository(error) => error.chain(),
            error => error.to_string(),
        }
    }
}

/// Maximum attempts at an app in which something is purged or healed while its bytes are copied.
const ATTEMPTS: usize = 10;

/// Exports everything. Damaged artefacts are left out and reported, and then the export fails.
pub(crate) async fn export(
    catalogue: &Catalogue,
    root: &Path,
    report: &mut dyn Report,
) -> Result<(), ExportError> {
    let owners = catalogue.storage().owners().await?;
    let tree = Tree::open(root)?;
    refuse_foreign(&tree, &owners)?;
    let (mut damaged, mut failed) = (0, 0);
    // The default layer last, so that it has every generation that an app's releases name.
    for owner in owners.keys().rev() {
        match export_owner(catalogue, &tree, owner, report).await {
            Ok(count) => damaged += count,
            // Errors of the target: the next app would fail, too.
            Err(error @ (ExportError::Write { .. } | ExportError::Other { .. })) => {
                return Err(error);
            }
            Err(error) => {
                failed += 1;
                report.left_out(&format!("{owner} is left out: {}", error.chain()));
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

/// Refuses a tree with a log of an app that the store does not have: the tree belongs to another repository.
fn refuse_foreign(tree: &Tree, owners: &BTreeMap<Owner, Enlisted>) -> Result<(), ExportError> {
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

/// Exports one log and what follows from it; returns the number of damaged artefacts.
async fn export_owner(
    catalogue: &Catalogue,
    tree: &Tree,
    owner: &Owner,
    report: &mut dyn Report,
) -> Result<usize, ExportError> {
    let app = match owner {
        Owner::App(app) => app,
        Owner::DefaultLayer => return app::export_default_layer(catalogue, tree, report).await,
        Owner::Tokens => return app::export_tokens(catalogue, tree, report).await,
    };
    for _ in 0..ATTEMPTS {
        if let Outcome::Done { damaged } = app::export(catalogue, tree, app, report).await? {
            return Ok(damaged);
        }
    }
    Err(ExportError::Changing(app.to_string()))
}
