//! The store of pictures: an S3 bucket or a directory. A picture's name is the digest of its bytes, so a picture
//! that is uploaded twice is stored once, and a name always stands for the same picture.

mod client;
pub(crate) mod format;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, GetResult, ObjectStore, ObjectStoreExt as _, PutPayload,
    RetryConfig,
};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};

use crate::backoff::{Backoff, random};
use crate::services::{Service, Services, reason};
use crate::settings::Location;
use format::Format;

/// Object that proves that the store works: written first, because the app needs a writable store, then read
/// regularly.
const PROBE: &str = "probe";

const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// One retry covers a lost connection. For longer outages, [`Pictures::watch`] has its own back-off.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    },
    max_retries: 1,
    retry_timeout: Duration::from_secs(10),
};

#[derive(Debug, Clone)]
pub(crate) struct Pictures {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Pictures {
    /// Sends no request yet. The usual `AWS_*` variables configure S3.
    pub(crate) fn open(location: &Location) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(match location {
            Location::Directory(path) => {
                std::fs::create_dir_all(path)?;
                Self {
                    store: Arc::new(LocalFileSystem::new_with_prefix(path)?),
                    prefix: String::new(),
                }
            }
            Location::Bucket { bucket, prefix } => {
                let builder = AmazonS3Builder::from_env();
                let value = |key| builder.get_config_value(key).unwrap_or_default();
                let allows_http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
                if value(&AmazonS3ConfigKey::Endpoint).starts_with("http://")
                    && value(&allows_http) != "true"
                {
                    return Err("AWS_ENDPOINT is not encrypted: use https, or set AWS_ALLOW_HTTP=true on a network that you trust".into());
                }
                let store = builder
                    .with_bucket_name(bucket)
                    .with_http_connector(client::connector()?)
                    .with_retry(RETRIES)
                    .build()?;
                Self {
                    store: Arc::new(store),
                    prefix: prefix.clone(),
                }
            }
        })
    }

    fn path(&self, name: &str) -> Path {
        self.prefix
            .split('/')
            .chain([name])
            .filter(|part| !part.is_empty())
            .collect()
    }

    pub(crate) async fn put(&self, name: &str, bytes: Bytes) -> object_store::Result<()> {
        let payload = PutPayload::from(bytes);
        self.store.put(&self.path(name), payload).await.map(drop)
    }

    pub(crate) async fn get(&self, name: &str) -> object_store::Result<GetResult> {
        self.store.get(&self.path(name)).await
    }

    /// Reports to `services` whether the store is usable, while the app runs.
    pub(crate) async fn watch(self, services: Arc<Services>) {
        let mut backoff = Backoff::new(random);
        let mut is_usable = false;
        loop {
            let probe = async {
                if is_usable {
                    self.get(PROBE).await.map(drop)
                } else {
                    self.put(PROBE, Bytes::from_static(b"moments\n")).await
                }
            };
            let failure = match timeout(PROBE_TIMEOUT, probe).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(describe(&error)),
                Err(_) => Some("timed out".to_owned()),
            };
            is_usable = failure.is_none();
            services.set(Service::Pictures, failure);
            if is_usable {
                backoff.reset();
                sleep(PROBE_INTERVAL).await;
            } else {
                sleep(backoff.next()).await;
            }
        }
    }
}

/// Hides the text of S3's answers, because it names the bucket and the key.
fn describe(error: &object_store::Error) -> String {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => "no such bucket".to_owned(),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => "access is denied".to_owned(),
        other => reason(other),
    }
}

/// Returns the name of a picture: its digest and an extension.
pub(crate) fn name(bytes: &[u8], format: Format) -> String {
    let digest = Bytes::copy_from_slice(&Sha256::digest(bytes));
    format!("{digest:x}.{}", format.extension())
}

/// Returns the format that a picture's name states, or `None` if the name isn't the name of a picture.
pub(crate) fn format_of(name: &str) -> Option<Format> {
    let (digest, extension) = name.split_once('.')?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digest.len() != 64 || !digest.bytes().all(is_hex) {
        return None;
    }
    Format::ALL
        .into_iter()
        .find(|format| format.extension() == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_digest_and_an_extension() {
        let empty = name(b"", Format::Png);
        assert_eq!(
            empty,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.png"
        );
        assert_eq!(format_of(&empty), Some(Format::Png));
        for other in [
            "probe",
            "e3b0.png",
            "../../etc/passwd",
            &empty.replace("png", "svg"),
            &empty.to_uppercase(),
        ] {
            assert_eq!(format_of(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_directory_is_created_and_used() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Directory(directory.path().join("a/b"));
        let pictures = Pictures::open(&location).unwrap();
        pictures
            .put("x.png", Bytes::from_static(b"x"))
            .await
            .unwrap();
        let got = pictures.get("x.png").await.unwrap().bytes().await.unwrap();
        assert_eq!(got, "x");
        assert!(directory.path().join("a/b/x.png").is_file());
        let missing = pictures.get("y.png").await.unwrap_err();
        assert!(matches!(missing, object_store::Error::NotFound { .. }));
    }
}
