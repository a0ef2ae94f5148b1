//! An object of any size, written as its bytes arrive.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Disk, StorageError, remove, remove_if_exists, rename_new};
use crate::storage::keys::Key;
use crate::storage::store::Writer;

#[derive(Debug)]
pub(super) struct Upload {
    disk: Disk,
    key: Key,
    path: PathBuf,
    file: Arc<File>,
    written: u64,
}

impl Upload {
    pub(super) async fn begin(disk: Disk, key: &Key) -> Result<Self, StorageError> {
        let path = disk.inner.upload_path();
        let at = path.clone();
        let file = disk
            .blocking("begin", key, move |_, _| File::create_new(at))
            .await?;
        Ok(Self {
            disk,
            key: key.clone(),
            path,
            file: Arc::new(file),
            written: 0,
        })
    }
}

#[async_trait]
impl Writer for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        let (file, at, length) = (Arc::clone(&self.file), self.written, bytes.len());
        self.disk
            .blocking("write", &self.key, move |_, _| {
                file.write_all_at(&bytes, at)
            })
            .await?;
        self.written += length as u64;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), StorageError> {
        let (file, from) = (Arc::clone(&self.file), self.path.clone());
        let finished = self
            .disk
            .blocking("complete", &self.key, move |inner, to| {
                file.sync_data()?;
                rename_new(&from, to)?;
                let synced = inner.directories.sync(to.parent().unwrap_or(&inner.root));
                if synced.is_err() {
                    // No log references the object, and after this error none will.
                    remove(to);
                }
                synced
            })
            .await;
        if finished.is_err() {
            self.abort().await;
        }
        finished
    }

    async fn abort(self: Box<Self>) {
        let path = self.path.clone();
        let removed = self
            .disk
            .blocking("abort", &self.key, move |_, _| remove_if_exists(&path))
            .await;
        if let Err(error) = removed {
            tracing::warn!(error = %error.chain(), "failed to remove an unfinished upload; gc removes it");
        }
    }
}
