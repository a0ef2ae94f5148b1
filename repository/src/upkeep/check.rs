//! The check for damage: every entry of every log, every segment, every blob that a log references. `repository check`
//! runs it once; a server runs it slowly in the background.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use futures_util::StreamExt as _;
use repository_api::{AppName, FileName, VersionName};

use crate::domain::catalogue::is_still_referenced;
use crate::domain::state::LogState;
use crate::domain::state::app::AppState;
use crate::domain::state::default_layer::DefaultLayerState;
use crate::domain::state::tokens::TokensState;
use crate::domain::state::version::ArtefactRecord;
use crate::storage::blob::Sum;
use crate::storage::keys::{self, BlobId, Owner};
use crate::storage::log::SEGMENT;
use crate::storage::{Registered, Storage, StorageError};

/// A damaged or missing object.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) subject: String,
    pub(crate) problem: String,
}

/// Receives the findings and the progress of a check.
pub(crate) trait Report: Send {
    fn found(&mut self, finding: Finding);

    /// Called after `bytes` were read. A slow check waits here.
    fn read(&mut self, bytes: u64) -> impl Future<Output = ()> + Send;
}

/// Totals of a check.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) entries: u64,
    pub(crate) artefacts: u64,
    pub(crate) bytes: u64,
    pub(crate) findings: u64,
}

/// The outcome of the last check; zeros before the first one.
#[derive(Debug, Default)]
pub(crate) struct LastCheck {
    findings: AtomicU64,
    ended: AtomicU64,
}

impl LastCheck {
    pub(super) fn record(&self, checked: Checked) {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        self.findings.store(checked.findings, Ordering::Relaxed);
        self.ended.store(now, Ordering::Relaxed);
    }

    pub(crate) fn findings(&self) -> u64 {
        self.findings.load(Ordering::Relaxed)
    }

    /// Seconds since the epoch.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }
}

/// Checks everything, and returns the blobs that logs reference.
pub(crate) async fn check(
    storage: &Storage,
    report: &mut impl Report,
) -> Result<(Checked, BTreeSet<BlobId>), StorageError> {
    let mut checked = Checked::default();
    let mut referenced = BTreeSet::new();
    for (owner, Registered(is_registered)) in storage.owners().await? {
        let mut check = Check {
            storage,
            owner: &owner,
            report,
            checked: &mut checked,
        };
        match &owner {
            Owner::App(app) => {
                let state: AppState = check.log(is_registered).await?;
                for (version, file, record) in state.artefacts() {
                    referenced.insert(record.blob);
                    let position = state.position();
                    check
                        .artefact((app, version, file), record, position)
                        .await?;
                }
            }
            Owner::DefaultLayer => {
                check.log::<DefaultLayerState>(is_registered).await?;
            }
            Owner::Tokens => {
                check.log::<TokensState>(is_registered).await?;
            }
        }
    }
    Ok((checked, referenced))
}

/// Counts the blobs of running and failed uploads.
pub(crate) async fn unreferenced(
    storage: &Storage,
    referenced: &BTreeSet<BlobId>,
) -> Result<u64, StorageError> {
    let mut count = 0;
    let mut after = None;
    loop {
        let page = storage.blobs(after, 1000).await?;
        let ids = page.iter().filter_map(|found| found.name.parse().ok());
        let mut last = None;
        for id in ids {
            count += u64::from(!referenced.contains(&id));
            last = Some(id);
        }
        if last.is_none() {
            return Ok(count);
        }
        after = last;
    }
}

const HEAL: &str = "publish the same file again to repair it, or purge the version";
const RETRY: &str = "make sure that the store answers, then check again; if that fails too, publish the same file again to repair it";

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

    /// Checks a log and its segments; returns the state that the readable entries lead to.
    async fn log<S: LogState>(&mut self, is_registered: bool) -> Result<S, StorageError> {
        let state: S = self.entries().await?;
        if is_registered && state.is_empty() {
            self.found(
                keys::entry(self.owner, 1),
                "the app is listed, but its log is missing; restore it from a backup",
            );
        }
        self.segments(state.position()).await?;
        Ok(state)
    }

    async fn entries<S: LogState>(&mut self) -> Result<S, StorageError> {
        let mut state = S::default();
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
                    self.found(format!("{}/{name}", self.owner), "it is not a log entry");
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

    async fn entry<S: LogState>(&mut self, number: u64, state: &mut S) -> Result<(), StorageError> {
        let key = keys::entry(self.owner, number);
        self.checked.entries += 1;
        match self.storage.inspect::<S::Event>(self.owner, number).await {
            Ok(Some(inspected)) => {
                self.checked.bytes += inspected.size;
                self.report.read(inspected.size).await;
                if !inspected.is_intact {
                    // Reading repairs it.
                    let read = self.storage.entry::<S::Event>(self.owner, number).await;
                    let outcome = match read {
                        Ok(_) => "repaired from the other copy",
                        Err(_) => "it cannot be repaired",
                    };
                    self.found(key, format!("one of its two copies was damaged: {outcome}"));
                }
                // Recorded after a gap too, because the entry references blobs.
                state.record(inspected.entry);
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
                // Damage of an entry is a finding of its own.
                Ok(true) | Err(StorageError::Damaged { .. } | StorageError::Missing { .. }) => {}
                Ok(false) => self.found(
                    keys::segment(self.owner, number),
                    "it differs from its entries; delete it, and the server writes it again",
                ),
                Err(error) => self.found(keys::segment(self.owner, number), error.chain()),
            }
        }
        Ok(())
    }

    async fn artefact(
        &mut self,
        (app, version, file): (&AppName, &VersionName, &FileName),
        record: &ArtefactRecord,
        position: u64,
    ) -> Result<(), StorageError> {
        self.checked.artefacts += 1;
        let Some(problem) = self.problem(record).await else {
            return Ok(());
        };
        let name = (version, file, record.blob);
        // After an error, the blob counts as referenced.
        if let Ok(false) = is_still_referenced(self.storage, app, name, position).await {
            return Ok(());
        }
        self.found(format!("{app} {version} {file}"), problem);
        Ok(())
    }

    async fn problem(&mut self, record: &ArtefactRecord) -> Option<String> {
        let mut chunks = match self.storage.read_blob(record.blob).await {
            Ok(Some(chunks)) => chunks,
            Ok(None) => return Some(format!("its bytes are missing; {HEAL}")),
            Err(error) => {
                return Some(format!(
                    "its bytes cannot be read now ({}); {RETRY}",
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
                    tracing::warn!(blob = %record.blob, "deleted a damaged copy from the cache");
                }
                None
            }
            Ok((size, sha256)) => Some(format!(
                "its bytes are damaged: expected {} bytes with sha256:{}, found {size} with sha256:{sha256}; {HEAL}",
                record.size, record.sha256
            )),
            Err(error) => Some(format!("its bytes cannot be read ({error}); {RETRY}")),
        }
    }
}
