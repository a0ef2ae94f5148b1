//! Whether everything is as it was written: every entry of every log, every segment, every blob that a
//! log names. For `repository check`, which says what it finds, and for the server, which does the same
//! slowly and all the time.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use repository_api::{FileName, VersionName};

use crate::domain::catalogue::{AppState, ArtefactRecord, Event, is_still_named};
use crate::storage::blob::Sum;
use crate::storage::entry::Entry;
use crate::storage::keys::{self, BlobId, Owner};
use crate::storage::log::SEGMENT;
use crate::storage::{Enlisted, Storage, StorageError};

/// Something that is not as it was written.
#[derive(Debug)]
pub(crate) struct Finding {
    /// What, as people know it.
    pub(crate) subject: String,
    pub(crate) problem: String,
}

/// Who is told of what is found, and of how far it is.
pub(crate) trait Report: Send {
    fn found(&mut self, finding: Finding);

    /// So many bytes were read; whoever is to go slowly waits.
    fn read(&mut self, bytes: u64) -> impl Future<Output = ()> + Send;
}

/// What was looked at.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) entries: u64,
    pub(crate) artefacts: u64,
    pub(crate) bytes: u64,
    pub(crate) findings: u64,
}

/// Looks at everything, and returns the blobs that logs name.
pub(crate) async fn everything(
    storage: &Storage,
    report: &mut impl Report,
) -> Result<(Checked, BTreeSet<BlobId>), StorageError> {
    let mut checked = Checked::default();
    let mut named = BTreeSet::new();
    for (owner, Enlisted(is_enlisted)) in storage.owners().await? {
        let mut check = Check {
            storage,
            owner: &owner,
            report,
            checked: &mut checked,
        };
        let state = check.log().await?;
        if is_enlisted && state.is_empty() {
            check.found(
                keys::entry(&owner, 1),
                "the app is on the list, and its log is missing; restore it from a backup",
            );
        }
        check.segments(state.position).await?;
        for (version, file, record) in state.artefacts() {
            named.insert(record.blob);
            let position = state.position;
            check.artefact(version, file, record, position).await?;
        }
    }
    Ok((checked, named))
}

/// Blobs that no log names: of uploads that are under way, or that came to nothing.
pub(crate) async fn unnamed(
    storage: &Storage,
    named: &BTreeSet<BlobId>,
) -> Result<u64, StorageError> {
    let mut count = 0;
    let mut after = None;
    loop {
        let page = storage.blobs(after, 1000).await?;
        let ids = page.iter().filter_map(|found| found.name.parse().ok());
        let mut last = None;
        for id in ids {
            count += u64::from(!named.contains(&id));
            last = Some(id);
        }
        if last.is_none() {
            return Ok(count);
        }
        after = last;
    }
}

const HEAL: &str = "publish the same file again to heal it, or purge the version";
const AGAIN: &str = "see that the store answers, and check again; if it does, publish the same file again to heal it";

struct Check<'a, R> {
    storage: &'a Storage,
    owner: &'a Owner,
    report: &'a mut R,
    checked: &'a mut Checked,
}

impl<R: Report> Check<'_, R> {
    fn found(&mut self, subject: impl Into<String>, problem: impl Into<String>) {
        self.checked.findings += 1;
        self.report.found(Finding {
            subject: subject.into(),
            problem: problem.into(),
        });
    }

    /// The entries, and what follows from those that can be read.
    async fn log(&mut self) -> Result<AppState, StorageError> {
        let mut state = AppState::default();
        let mut after: Option<String> = None;
        let mut expected = 1;
        loop {
            let page = self
                .storage
                .entries(self.owner, after.as_deref(), 1000)
                .await?;
            let Some(last) = page.last().cloned() else {
                return Ok(state);
            };
            for name in page {
                let Some(number) = keys::entry_number(&name) else {
                    self.found(format!("{}/{name}", self.owner), "it is no entry of a log");
                    continue;
                };
                if number > expected {
                    let first = keys::entry(self.owner, expected);
                    let last = keys::entry(self.owner, number - 1);
                    let subject = if first == last {
                        first.to_string()
                    } else {
                        format!("{first} to {last}")
                    };
                    self.found(subject, "missing; restore from a backup");
                }
                expected = number + 1;
                self.entry(number, &mut state).await?;
            }
            after = Some(last);
        }
    }

    async fn entry(&mut self, number: u64, state: &mut AppState) -> Result<(), StorageError> {
        let key = keys::entry(self.owner, number);
        self.checked.entries += 1;
        match self.storage.inspect::<Event>(self.owner, number).await {
            Ok(Some(inspected)) => {
                self.checked.bytes += inspected.size;
                self.report.read(inspected.size).await;
                if !inspected.is_whole {
                    // Which takes its place with what it should be.
                    let read = self.storage.entry::<Event>(self.owner, number).await;
                    let outcome = match read {
                        Ok(_) => "it is mended from the other one",
                        Err(_) => "it cannot be mended",
                    };
                    self.found(key, format!("one of its two copies was damaged: {outcome}"));
                }
                // Behind a gap nothing can be said of the state; what is named still counts.
                state.position = number - 1;
                let entry: Entry<Event> = inspected.entry;
                let _ = state.apply(entry);
            }
            Ok(None) => self.found(key, "missing; restore it from a backup"),
            Err(StorageError::Damaged { reason, .. }) => {
                self.found(key, format!("{reason}; restore it from a backup"));
            }
            Err(error) => self.found(key, error.chain()),
        }
        Ok(())
    }

    async fn segments(&mut self, entries: u64) -> Result<(), StorageError> {
        for number in 0..entries / SEGMENT {
            match self.storage.compare_segment(self.owner, number).await {
                // What is damaged in an entry was said of the entry already.
                Ok(true) | Err(StorageError::Damaged { .. } | StorageError::Missing { .. }) => {}
                Ok(false) => self.found(
                    keys::segment(self.owner, number),
                    "it is not a copy of its entries; delete it, and it is written anew",
                ),
                Err(error) => self.found(keys::segment(self.owner, number), error.chain()),
            }
        }
        Ok(())
    }

    async fn artefact(
        &mut self,
        version: &VersionName,
        file: &FileName,
        record: &ArtefactRecord,
        position: u64,
    ) -> Result<(), StorageError> {
        self.checked.artefacts += 1;
        let Some(problem) = self.problem(record).await else {
            return Ok(());
        };
        let name = (version, file, record.blob);
        // Where that cannot be told, it counts as named.
        if let Ok(false) = is_still_named(self.storage, self.owner, name, position).await {
            return Ok(());
        }
        self.found(format!("{} {version} {file}", self.owner), problem);
        Ok(())
    }

    async fn problem(&mut self, record: &ArtefactRecord) -> Option<String> {
        let mut chunks = match self.storage.read_blob(record.blob).await {
            Ok(Some(chunks)) => chunks,
            Ok(None) => return Some(format!("its bytes are missing; {HEAL}")),
            Err(error) => {
                return Some(format!(
                    "its bytes cannot be read now ({}); {AGAIN}",
                    error.chain()
                ));
            }
        };
        let mut sum = Sum::default();
        let found = loop {
            match chunks.next().await {
                None => break Ok(sum.end()),
                Some(Err(error)) => break Err(error),
                Some(Ok(chunk)) => {
                    sum.add(&chunk);
                    self.checked.bytes += chunk.len() as u64;
                    self.report.read(chunk.len() as u64).await;
                }
            }
        };
        match found {
            Ok(found) if found == (record.size, record.sha256) => {
                if !self.storage.check_cached(record.located()).await {
                    tracing::warn!(blob = %record.blob, "the cache's copy was damaged: it is fetched anew when it is asked for");
                }
                None
            }
            Ok((size, sha256)) => Some(format!(
                "its bytes are damaged: expected {} bytes with sha256:{}, found {size} with sha256:{sha256}; {HEAL}",
                record.size, record.sha256
            )),
            Err(error) => Some(format!("its bytes cannot be read ({error}); {AGAIN}")),
        }
    }
}
