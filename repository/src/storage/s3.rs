//! A store in a bucket of S3, or of a compatible server that honours `If-None-Match: *`.
//!
//! - only single requests carry the condition: some servers ignore it at the end of a multipart upload
//! - blobs are uploaded in parts, under keys that no other writer uses
//! - `object_store` retries requests; no other code does
//! - [`client`]: HTTP with built-in root certificates, for images that have none

mod client;
mod secrets;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, Error, GetOptions, GetRange, GetResult, MultipartUpload,
    ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig,
};

use super::StorageError;
use super::keys::{self, BlobId, Key};
use super::store::{Chunks, Created, Listed, Store, Writer};

/// Bytes of a part. S3 takes 10,000 parts of at least 5 MiB each: 80 GiB with this size.
const PART: usize = 8 << 20;

/// Parts sent at once. An upload holds as many in memory.
const PARTS: usize = 2;

/// The retries of one request.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    },
    max_retries: 8,
    retry_timeout: Duration::from_secs(20),
};

/// Where Swarm mounts secrets. bootstrap reads those of an app from here, too.
const SECRETS: &str = "/run/secrets";

#[derive(Debug, Clone)]
pub(super) struct S3 {
    store: Arc<AmazonS3>,
    bucket: String,
    prefix: String,
}

impl S3 {
    /// Configures the store from the usual `AWS_*` variables and mounted secrets.
    pub(super) fn open(bucket: &str, prefix: &str) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Bucket {
            bucket: bucket.to_owned(),
            source,
        };
        let connector = client::connector().map_err(failed)?;
        let builder = secrets::fill(AmazonS3Builder::from_env(), SECRETS.as_ref())
            .map_err(|error| failed(error.into()))?;
        let is_set = |key| builder.get_config_value(key).unwrap_or_default();
        let allows_http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        if is_set(&AmazonS3ConfigKey::Endpoint).starts_with("http://")
            && is_set(&allows_http) != "true"
        {
            return Err(failed(
                "AWS_ENDPOINT is not encrypted: use https, or set AWS_ALLOW_HTTP=true on a network that you trust"
                    .into(),
            ));
        }
        let store = builder
            .with_bucket_name(bucket)
            .with_http_connector(connector)
            .with_retry(RETRIES)
            .build()
            .map_err(|error| failed(error.into()))?;
        Ok(Self {
            store: Arc::new(store),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    fn path(&self, key: &str) -> Path {
        if self.prefix.is_empty() {
            Path::from(key)
        } else {
            Path::from(format!("{}/{key}", self.prefix))
        }
    }

    async fn put(&self, key: &Key, bytes: Bytes, mode: PutMode) -> Result<(), Error> {
        let path = self.path(key.as_str());
        self.store
            .put_opts(&path, PutPayload::from(bytes), mode.into())
            .await
            .map(drop)
    }
}

#[async_trait]
impl Store for S3 {
    fn location(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.read(&keys::proof(BlobId::new())).await.map(drop)
    }

    fn visible_is_durable(&self) -> bool {
        true
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StorageError> {
        match self.put(key, bytes, PutMode::Create).await {
            Ok(()) => Ok(Created::Now),
            // 412, or 409 while another request creates the same object.
            Err(Error::AlreadyExists { .. }) => Ok(Created::Already),
            Err(error) => Err(StorageError::object("create", key, error)),
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StorageError> {
        let read = async {
            self.store
                .get(&self.path(key.as_str()))
                .await?
                .bytes()
                .await
        };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StorageError::object("read", key, error)),
        }
    }

    async fn repair(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError> {
        self.put(key, bytes, PutMode::Overwrite)
            .await
            .map_err(|error| StorageError::object("repair", key, error))
    }

    async fn make_durable(&self, _: &Key) -> Result<(), StorageError> {
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        match self.store.delete(&self.path(key.as_str())).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StorageError::object("delete", key, error)),
        }
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let prefix = self.path(prefix);
        let mut offset = after.map(|after| format!("{prefix}/{after}"));
        let mut page_token = None;
        let mut listed = Vec::new();
        while listed.len() < limit {
            let options = PaginatedListOptions {
                offset: offset.take(),
                delimiter: Some("/".into()),
                max_keys: Some((limit - listed.len()).min(1000)),
                page_token,
                ..PaginatedListOptions::default()
            };
            let page = self
                .store
                .list_paginated(Some(&format!("{prefix}/")), options)
                .await
                .map_err(|error| StorageError::listing(prefix.as_ref(), error))?;
            let directories = page.result.common_prefixes.iter();
            let directories = directories.filter_map(|path| Some((path.filename()?, 0)));
            let objects = page.result.objects.iter();
            let objects =
                objects.filter_map(|found| Some((found.location.filename()?, found.size)));
            listed.extend(directories.chain(objects).map(|(name, size)| Listed {
                name: name.to_owned(),
                size,
            }));
            page_token = page.page_token;
            if page_token.is_none() {
                break;
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn Writer>, StorageError> {
        Ok(Box::new(Upload {
            s3: self.clone(),
            key: key.clone(),
            pending: BytesMut::new(),
            parts: None,
            sending: Vec::new(),
        }))
    }

    async fn open(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<Option<Chunks>, StorageError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        match self.store.get_opts(&self.path(key.as_str()), options).await {
            Ok(result) => Ok(Some(chunks(result))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StorageError::object("read", key, error)),
        }
    }

    /// Removes nothing, because a lifecycle rule of the bucket removes the parts of unfinished uploads.
    async fn sweep(&self, _: Duration, _: bool) -> Result<u64, StorageError> {
        Ok(0)
    }
}

fn chunks(result: GetResult) -> Chunks {
    let stream = result.into_stream();
    stream.map(|chunk| chunk.map_err(io::Error::other)).boxed()
}

type Part = tokio::task::JoinHandle<Result<(), Error>>;

/// An upload: one request for less than a part, several parts at once for more.
#[derive(Debug)]
struct Upload {
    s3: S3,
    key: Key,
    pending: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
    sending: Vec<Part>,
}

impl Upload {
    async fn send_part(&mut self) -> Result<(), Error> {
        let parts = if let Some(parts) = &mut self.parts {
            parts
        } else {
            let path = self.s3.path(self.key.as_str());
            let parts = self.s3.store.put_multipart(&path).await?;
            self.parts.insert(parts)
        };
        let part = parts.put_part(self.pending.split().freeze().into());
        self.sending.push(tokio::spawn(part));
        self.wait_for_parts(PARTS - 1).await
    }

    /// Waits until at most `left` parts are being sent.
    async fn wait_for_parts(&mut self, left: usize) -> Result<(), Error> {
        while self.sending.len() > left {
            let part = self.sending.remove(0).await;
            part.unwrap_or_else(|source| {
                Err(Error::Generic {
                    store: "S3",
                    source: source.into(),
                })
            })?;
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            let bytes = self.pending.split().freeze();
            return self.s3.put(&self.key, bytes, PutMode::Overwrite).await;
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        self.wait_for_parts(0).await?;
        match &mut self.parts {
            Some(parts) => parts.complete().await.map(drop),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Writer for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.pending.extend_from_slice(&bytes);
        if self.pending.len() >= PART {
            self.send_part()
                .await
                .map_err(|error| StorageError::object("write", &self.key, error))?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        if let Err(error) = self.complete().await {
            let key = self.key.clone();
            self.abort().await;
            return Err(StorageError::object("complete", &key, error));
        }
        Ok(())
    }

    async fn abort(mut self: Box<Self>) {
        for part in self.sending.drain(..) {
            part.abort();
        }
        if let Some(mut parts) = self.parts.take()
            && let Err(error) = parts.abort().await
        {
            tracing::warn!(%error, key = %self.key, "failed to abort an upload; a lifecycle rule of the bucket should remove its parts");
        }
    }
}
