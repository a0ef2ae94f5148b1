//! A version: its files, and whether it is sealed, yanked or purged.

use std::sync::Arc;

use repository_api::release::Artefact;
use repository_api::{Digest, FileName};

use crate::storage::Located;
use crate::storage::keys::BlobId;

#[derive(Debug, Clone)]
pub(crate) struct ArtefactRecord {
    pub(crate) blob: BlobId,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    pub(crate) by: Arc<str>,
    pub(crate) created: String,
}

impl ArtefactRecord {
    pub(crate) fn located(&self) -> Located {
        Located {
            id: self.blob,
            size: self.size,
            sha256: self.sha256,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct VersionState {
    /// Sorted by name. A map would take ten times the memory for the usual single file.
    pub(super) files: Vec<(FileName, ArtefactRecord)>,
    pub(super) sealed: bool,
    pub(super) yanked: bool,
    pub(super) purged: bool,
}

impl VersionState {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&FileName, &ArtefactRecord)> {
        self.files.iter().map(|(file, record)| (file, record))
    }

    pub(crate) fn file(&self, file: &FileName) -> Option<&ArtefactRecord> {
        let at = self.position(file).ok()?;
        self.files.get(at).map(|(_, record)| record)
    }

    /// The index of a file, or the index at which to insert it.
    fn position(&self, file: &FileName) -> Result<usize, usize> {
        self.files.binary_search_by(|(name, _)| name.cmp(file))
    }

    pub(super) fn insert(&mut self, file: FileName, record: ArtefactRecord) {
        match self.position(&file) {
            Ok(at) => self.files[at].1 = record,
            Err(at) => {
                if self.files.is_empty() {
                    self.files.reserve_exact(1);
                }
                self.files.insert(at, (file, record));
            }
        }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    pub(crate) fn is_yanked(&self) -> bool {
        self.yanked
    }

    pub(crate) fn artefacts(&self) -> Vec<Artefact> {
        self.files()
            .map(|(file, record)| Artefact {
                file: file.clone(),
                size: record.size,
                sha256: record.sha256,
            })
            .collect()
    }
}
