//! Logs: entries numbered from 1. Of two writers that create entry n+1, one wins and the other one reads the
//! log again.
//!
//! Every thousand entries are copied into a segment, unless they are large, so that a long log is read in
//! few requests. A damaged or missing segment costs time only, because the entries remain.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entry::{self, Decoded, Entry};
use super::keys::{self, Key, Owner};
use super::store::Created;
use super::{Storage, StorageError};

/// Entries of a segment.
pub(crate) const SEGMENT: u64 = 1000;

/// Maximum bytes of a segment. Larger ones are not written, and the log is read entry by entry.
const MAX_SEGMENT: usize = 8 << 20;

/// Maximum concurrent reads of entries.
const PARALLEL: u64 = 32;

/// An entry as stored.
#[derive(Debug)]
pub(crate) struct Inspected<E> {
    pub(crate) entry: Entry<E>,
    /// Whether both copies are undamaged.
    pub(crate) is_intact: bool,
    /// Bytes of both copies.
    pub(crate) size: u64,
}

impl Storage {
    /// Writes an entry unless its number is taken. After an error, the entry may exist: on S3, reading it back
    /// decides. On a disk the error stands, because an entry that can be read need not be durable.
    pub(crate) async fn append<E: Serialize + DeserializeOwned>(
        &self,
        owner: &Owner,
        entry: &Entry<E>,
    ) -> Result<Created, StorageError> {
        let key = keys::entry(owner, entry.number);
        let bytes = encode(&key, entry)?;
        let created = self.store.create(&key, bytes).await;
        match created {
            Ok(Created::Now) => Ok(Created::Now),
            // A retried request may find the entry of its own first attempt.
            Ok(Created::Already) | Err(_) if self.store.visible_is_durable() => {
                match (self.entry::<E>(owner, entry.number).await, created) {
                    (Ok(Some(existing)), _) if existing.id == entry.id => Ok(Created::Now),
                    (Ok(_), Ok(created)) => Ok(created),
                    (Ok(Some(_)), Err(_)) => Ok(Created::Already),
                    (Ok(None), Err(error)) | (Err(error), _) => Err(error),
                }
            }
            created => created,
        }
    }

    /// Reads an entry. Repairs a damaged copy from the other one.
    pub(crate) async fn entry<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<Option<Entry<E>>, StorageError> {
        let key = keys::entry(owner, number);
        let Some((Decoded { entry, repaired }, _)) = self.decode(&key, number).await? else {
            return Ok(None);
        };
        if let Some(repaired) = repaired {
            self.repair(&key, repaired).await;
        }
        Ok(Some(entry))
    }

    /// Reads an entry without repairing it.
    pub(crate) async fn inspect<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<Option<Inspected<E>>, StorageError> {
        let decoded = self.decode(&keys::entry(owner, number), number).await?;
        Ok(
            decoded.map(|(Decoded { entry, repaired }, size)| Inspected {
                entry,
                is_intact: repaired.is_none(),
                size,
            }),
        )
    }

    /// Reads and decodes an entry; returns its size in bytes, too.
    async fn decode<E: DeserializeOwned>(
        &self,
        key: &Key,
        number: u64,
    ) -> Result<Option<(Decoded<E>, u64)>, StorageError> {
        let Some(bytes) = self.store.read(key).await? else {
            return Ok(None);
        };
        let decoded = entry::decode(&bytes, number);
        let decoded = decoded.map_err(|reason| StorageError::damaged(key, reason))?;
        Ok(Some((decoded, bytes.len() as u64)))
    }

    /// Lists the names of a log's entries, in order.
    pub(crate) async fn entries(
        &self,
        owner: &Owner,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let listed = self.store.list(&keys::log(owner), after, limit).await?;
        Ok(listed.into_iter().map(|found| found.name).collect())
    }

    /// Whether a segment matches its entries, or does not exist.
    pub(crate) async fn compare_segment(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<bool, StorageError> {
        let Some(stored) = self.store.read(&keys::segment(owner, number)).await? else {
            return Ok(true);
        };
        Ok(self.segment(owner, number).await? == Some(stored))
    }

    /// Makes every object that can be seen in the directory of `key` durable.
    pub(crate) async fn make_durable(&self, key: &Key) -> Result<(), StorageError> {
        self.store.make_durable(key).await
    }

    async fn repair(&self, key: &Key, bytes: Bytes) {
        match self.store.repair(key, bytes).await {
            Ok(()) => {
                tracing::warn!(%key, "repaired a damaged copy of an entry");
            }
            Err(error) => {
                tracing::error!(error = %error.chain(), "failed to repair a damaged copy of an entry");
            }
        }
    }

    /// Calls `take` with each entry after number `after`, in order. Returns the number of the last one.
    pub(crate) async fn read_log<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        after: u64,
        mut take: impl FnMut(Entry<E>),
    ) -> Result<u64, StorageError> {
        let mut last = after;
        if after == 0 {
            // Asked alone, so that a request for an unknown app costs one read.
            let Some(first) = self.entry(owner, 1).await? else {
                self.refuse_gap(owner, 0).await?;
                return Ok(0);
            };
            last = self.read_segments(owner, &mut take).await?;
            if last == 0 {
                take(first);
                last = 1;
            }
        }
        // Usually there are few new entries, or none.
        let mut ahead = 1;
        loop {
            let numbers = last + 1..=last + ahead;
            let entries: Vec<Option<Entry<E>>> = stream::iter(numbers)
                .map(|number| self.entry(owner, number))
                .buffered(usize::try_from(PARALLEL).unwrap_or(1))
                .try_collect()
                .await?;
            for entry in entries {
                let Some(entry) = entry else {
                    // Checked when the whole log is read, which is rare.
                    if after == 0 {
                        self.refuse_gap(owner, last).await?;
                    }
                    return Ok(last);
                };
                last = entry.number;
                take(entry);
                if last.is_multiple_of(SEGMENT) {
                    self.write_segment_soon(owner, last / SEGMENT - 1);
                }
            }
            ahead = (2 * ahead).min(PARALLEL);
        }
    }

    /// Fails if entries follow the missing one: a gap taken for the end of the log would hide them.
    async fn refuse_gap(&self, owner: &Owner, last: u64) -> Result<(), StorageError> {
        let key = keys::entry(owner, last);
        let name = key.as_str().rsplit('/').next();
        let behind = self.entries(owner, name, 1).await?;
        let missing = keys::entry(owner, last + 1);
        if behind.is_empty() || self.store.read(&missing).await?.is_some() {
            return Ok(());
        }
        Err(StorageError::missing(&missing))
    }

    async fn read_segments<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        take: &mut impl FnMut(Entry<E>),
    ) -> Result<u64, StorageError> {
        let mut last = 0;
        let mut segments = stream::iter(0..)
            .map(|number| {
                let key = keys::segment(owner, number);
                async move { (self.store.read(&key).await, key) }
            })
            // Most logs have no segment.
            .buffered(4);
        while let Some((bytes, key)) = segments.next().await {
            let bytes = match bytes {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "failed to read a segment; reading its entries one by one");
                    break;
                }
            };
            match entry::decode_segment(&bytes, last + 1) {
                Ok(entries) if entries.len() as u64 == SEGMENT => {
                    last += SEGMENT;
                    entries.into_iter().for_each(&mut *take);
                }
                Ok(_) => {
                    tracing::warn!(%key, "a segment is incomplete; reading its entries one by one");
                    break;
                }
                Err(reason) => {
                    tracing::warn!(%key, reason, "a segment is damaged; reading its entries one by one");
                    break;
                }
            }
        }
        Ok(last)
    }

    /// Writes a segment in the background. Two servers that do so write the same bytes.
    pub(crate) fn write_segment_soon(&self, owner: &Owner, number: u64) {
        let (storage, owner) = (self.clone(), owner.clone());
        tokio::spawn(async move {
            let key = keys::segment(&owner, number);
            let written = match storage.segment(&owner, number).await {
                Ok(Some(bytes)) => storage.store.create(&key, bytes).await.map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                tracing::warn!(error = %error.chain(), "failed to write a segment; the log is read entry by entry");
            }
        });
    }

    /// The content of a segment; `None` if it would be too large.
    pub(crate) async fn segment(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<Option<Bytes>, StorageError> {
        let numbers = number * SEGMENT + 1..=(number + 1) * SEGMENT;
        let mut copies = stream::iter(numbers)
            .map(|number| async move {
                let key = keys::entry(owner, number);
                let bytes = self.store.read(&key).await?;
                let bytes = bytes.ok_or_else(|| StorageError::missing(&key))?;
                // Copies the bytes, because another version of the server may encode the entry differently.
                let (_, copy) = entry::intact_copy(&bytes)
                    .map_err(|reason| StorageError::damaged(&key, reason))?;
                Ok::<_, StorageError>(bytes.slice_ref(copy))
            })
            .buffered(usize::try_from(PARALLEL).unwrap_or(1));
        let mut segment = Vec::new();
        while let Some(copy) = copies.try_next().await? {
            segment.extend_from_slice(&copy);
            if segment.len() > MAX_SEGMENT {
                return Ok(None);
            }
        }
        Ok(Some(segment.into()))
    }
}

fn encode<E: Serialize>(key: &Key, entry: &Entry<E>) -> Result<Bytes, StorageError> {
    entry::encode(entry).map_err(|source| StorageError::object("encode", key, source))
}
