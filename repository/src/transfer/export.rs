//! Exports everything into a tree that any static server can serve and `import` can read.
//!
//! ```text
//! log/{app}.jsonl                           the log, an entry per line, for import
//! artefacts/{app}/{version}/{file}          and {file}.sha256
//! config/{app}/{app}.config                 the newest of each layer
//! channels/{app}/{channel}                  the release that it points at
//! releases/{app}/{reference}                the documents that bootstrap asks for, with all layers
//! files/{app}/{app}.tgz                     the artefact of latest, at the address of the original design
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
use crate::storage::{Registered, StorageError, chain};
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
        "the history in {path:?} does not match the store: it belongs to another repository, or the store has lost entries; export into an empty directory"
    )]
    ForeignHistory { path: PathBuf },
    #[error("failed to encode an entry")]
    Encode(#[from] serde_json::Error),
    #[error("{0} changed during every attempt: export again")]
    Changing(String),
    #[error(
        "{0} artefacts are damaged or missing, so they are not in the export: publish the same files again, or purge those versions, and export again"
    )]
    Damaged(usize),
    #[error("{0} apps are not in the export: see the reasons above, and export again")]
    Failed(usize),
}

/// Maximum attempts to export an app that changes during the copy.
const ATTEMPTS: usize = 10;

/// Exports everything. Skips and reports damaged artefacts, and then fails.
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
            // The target failed, so the next app would fail too.
            Err(error @ (ExportError::Write { .. } | ExportError::ForeignHistory { .. })) => {
                return Err(error);
            }
            Err(error) => {
                failed += 1;
                report.skipped(&format!("skipped {owner}: {}", chain(&error)));
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
fn refuse_foreign(tree: &Tree, owners: &BTreeMap<Owner, Registered>) -> Result<(), ExportError> {
    for name in tree.names("/log")? {
        let owner = name.strip_suffix(".jsonl");
        let owner = owner.and_then(|name| name.parse::<Owner>().ok());
        if owner.is_some_and(|owner| !owners.contains_key(&owner)) {
            return Err(ExportError::ForeignHistory {
                path: tree.path(&format!("/log/{name}")),
            });
        }
    }
    Ok(())
}

/// Exports one log and its files; returns the number of damaged artefacts.
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
