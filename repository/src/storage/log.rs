//! Logs: entries numbered from 1. Entry n+1 is created next to n, so of two writers that saw the same
//! n one wins, and the other one looks again.
//!
//! Every thousand entries are copied into a segment, unless they are large, so that a long log is read in
//! few pieces. A segment says nothing that its entries do not say: a damaged or missing one costs time and
//! nothing else.

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

/// Bytes of a segment at the most: a log of large configs is read entry by entry.
const MAX_SEGMENT: usize = 8 << 20;

/// Entries that are asked for at once, at the most.
const PARALLEL: u64 = 32;

/// An entry as it lies in the store.
#[derive(Debug)]
pub(crate) struct Inspected<E> {
    pub(crate) entry: Entry<E>,
    /// Whether both copies are.
    pub(crate) is_whole: bool,
    /// Bytes of both.
    pub(crate) size: u64,
}

impl Storage {
    /// Writes an entry, unless there is one of its number. An error after which it might have been
    /// written is resolved by reading it back; on a disk it stays an error, because what is seen there
    /// need not be durable.
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
            // A request that was repeated inside finds its own first attempt.
            Ok(Created::Already) | Err(_) if self.store.visible_is_durable() => {
                match (self.entry::<E>(owner, entry.number).await, created) {
                    (Ok(Some(there)), _) if there.id == entry.id => Ok(Created::Now),
                    (Ok(_), Ok(created)) => Ok(created),
                    (Ok(Some(_)), Err(_)) => Ok(Created::Already),
                    (Ok(None), Err(error)) | (Err(error), _) => Err(error),
                }
            }
            created => created,
        }
    }

    /// One entry, if it is there. A damaged copy is mended from the other one.
    pub(crate) async fn entry<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<Option<Entry<E>>, StorageError> {
        let key = keys::entry(owner, number);
        let Some(bytes) = self.store.read(&key).await? else {
            return Ok(None);
        };
        let Decoded { entry, mended } =
            entry::decode(&bytes, number).map_err(|reason| StorageError::damaged(&key, reason))?;
        if let Some(mended) = mended {
            self.mend(&key, mended).await;
        }
        Ok(Some(entry))
    }

    /// An entry as it lies there: nothing is mended.
    pub(crate) async fn inspect<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<Option<Inspected<E>>, StorageError> {
        let key = keys::entry(owner, number);
        let Some(bytes) = self.store.read(&key).await? else {
            return Ok(None);
        };
        let Decoded { entry, mended } =
            entry::decode(&bytes, number).map_err(|reason| StorageError::damaged(&key, reason))?;
        Ok(Some(Inspected {
            entry,
            is_whole: mended.is_none(),
            size: bytes.len() as u64,
        }))
    }

    /// The names in a log, in order.
    pub(crate) async fn entries(
        &self,
        owner: &Owner,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let listed = self.store.list(&keys::log(owner), after, limit).await?;
        Ok(listed.into_iter().map(|found| found.name).collect())
    }

    /// Whether a segment is what it should be, or not there, which is as good.
    pub(crate) async fn compare_segment(
        &self,
        owner: &Owner,
        number: u64,
    ) -> Result<bool, StorageError> {
        let Some(there) = self.store.read(&keys::segment(owner, number)).await? else {
            return Ok(true);
        };
        Ok(self.segment(owner, number).await? == Some(there))
    }

    /// Makes sure that what is seen next to `key` is durable.
    pub(crate) async fn make_durable(&self, key: &Key) -> Result<(), StorageError> {
        self.store.make_durable(key).await
    }

    async fn mend(&self, key: &Key, bytes: Bytes) {
        match self.store.mend(key, bytes).await {
            Ok(()) => {
                tracing::warn!(%key, "one of two copies of an entry was damaged: it is mended");
            }
            Err(error) => {
                tracing::error!(error = %error.chain(), "one of two copies of an entry is damaged, and cannot be mended");
            }
        }
    }

    /// Hands over all entries after number `after`, in order; returns the number of the last one.
    pub(crate) async fn read_log<E: DeserializeOwned>(
        &self,
        owner: &Owner,
        after: u64,
        mut take: impl FnMut(Entry<E>),
    ) -> Result<u64, StorageError> {
        let mut last = after;
        if after == 0 {
            // First of all, so that a name that means nothing costs little.
            let Some(first) = self.entry(owner, 1).await? else {
                self.refuse_a_hole(owner, 0).await?;
                return Ok(0);
            };
            last = self.read_segments(owner, &mut take).await?;
            if last == 0 {
                take(first);
                last = 1;
            }
        }
        // Mostly there is none, and mostly few.
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
                    // Later ones are asked for mostly; only a log that is read anew is looked at whole.
                    if after == 0 {
                        self.refuse_a_hole(owner, last).await?;
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

    /// What follows a missing entry would be lost, and written over, if the hole were taken for the end.
    async fn refuse_a_hole(&self, owner: &Owner, last: u64) -> Result<(), StorageError> {
        let key = keys::entry(owner, last);
        let name = key.as_str().rsplit('/').next();
        let behind = self.entries(owner, name, 1).await?;
        let missing = keys::entry(owner, last + 1);
        if behind.is_empty() || self.store.read(&missing).await?.is_some() {
            return Ok(());
        }
        Err(StorageError::Missing {
            key: missing.to_string(),
        })
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
            // The first one is mostly not there.
            .buffered(4);
        while let Some((bytes, key)) = segments.next().await {
            let bytes = match bytes {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "a segment cannot be read: its entries are read one by one");
                    break;
                }
            };
            match entry::decode_segment(&bytes, last + 1) {
                Ok(entries) if entries.len() as u64 == SEGMENT => {
                    last += SEGMENT;
                    entries.into_iter().for_each(&mut *take);
                }
                Ok(_) => {
                    tracing::warn!(%key, "a segment is short: its entries are read one by one");
                    break;
                }
                Err(reason) => {
                    tracing::warn!(%key, reason, "a segment is damaged: its entries are read one by one");
                    break;
                }
            }
        }
        Ok(last)
    }

    /// Copies a thousand entries together, in the background. Whoever is second writes the same.
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
                tracing::warn!(error = %error.chain(), "a segment was not written: the log is read entry by entry");
            }
        });
    }

    /// What a segment must hold; `None` where that would be too much.
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
                let bytes = bytes.ok_or_else(|| StorageError::Missing {
                    key: key.to_string(),
                })?;
                // Byte for byte: what another version of the repository wrote stays as it is.
                let (_, copy) = entry::whole_copy(&bytes)
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
