//! Pictures, in a bucket of S3 or in a directory. A picture's name is the digest of its bytes, so the same
//! picture has one name, however often it is uploaded, and a name never means another picture.

mod client;
pub(crate) mod kind;

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
use crate::settings::Place;
use kind::Kind;

/// Written at the start, because a store that can only be read is of no use; read now and then.
const PROBE: &str = "probe";

const PROBE_PATIENCE: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// A request that fails by accident is sent once more. What is gone for longer is waited for here and not there.
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
    /// Asks nobody yet. S3 is set up by the usual `AWS_*` variables.
    pub(crate) fn open(place: &Place) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(match place {
            Place::Directory(path) => {
                std::fs::create_dir_all(path)?;
                Self {
                    store: Arc::new(LocalFileSystem::new_with_prefix(path)?),
                    prefix: String::new(),
                }
            }
            Place::Bucket { bucket, prefix } => {
                let builder = AmazonS3Builder::from_env();
                let is_set = |key| builder.get_config_value(key).unwrap_or_default();
                let allows_http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
                if is_set(&AmazonS3ConfigKey::Endpoint).starts_with("http://")
                    && is_set(&allows_http) != "true"
                {
                    return Err("AWS_ENDPOINT is not encrypted: set AWS_ALLOW_HTTP=true on a network that you trust".into());
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

    /// Says for as long as the app runs whether the store can be used.
    pub(crate) async fn watch(self, services: Arc<Services>) {
        let mut backoff = Backoff::new(random);
        let mut is_proven = false;
        loop {
            let ask = async {
                if is_proven {
                    self.get(PROBE).await.map(drop)
                } else {
                    self.put(PROBE, Bytes::from_static(b"moments\n")).await
                }
            };
            let why = match timeout(PROBE_PATIENCE, ask).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(words(&error)),
                Err(_) => Some("timed out".to_owned()),
            };
            is_proven = why.is_none();
            services.set(Service::Pictures, why);
            if is_proven {
                backoff.reset();
                sleep(PROBE_EVERY).await;
            } else {
                sleep(backoff.next()).await;
            }
        }
    }
}

/// What S3 answers is XML that names the bucket and the key: it is not for everybody.
fn words(error: &object_store::Error) -> String {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => "there is no such bucket".to_owned(),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => "access is denied".to_owned(),
        other => reason(other),
    }
}

/// The name of a picture: its digest, and an ending that says what it is.
pub(crate) fn name(bytes: &[u8], kind: Kind) -> String {
    let digest = Bytes::copy_from_slice(&Sha256::digest(bytes));
    format!("{digest:x}.{}", kind.ending())
}

/// The kind of a picture by its name; none if that is the name of nothing that is kept here.
pub(crate) fn kind_of(name: &str) -> Option<Kind> {
    let (digest, ending) = name.split_once('.')?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digest.len() != 64 || !digest.bytes().all(is_hex) {
        return None;
    }
    Kind::ALL.into_iter().find(|kind| kind.ending() == ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_digests() {
        let empty = name(b"", Kind::Png);
        assert_eq!(
            empty,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.png"
        );
        assert_eq!(kind_of(&empty), Some(Kind::Png));
        for other in [
            "probe",
            "e3b0.png",
            "../../etc/passwd",
            &empty.replace("png", "svg"),
            &empty.to_uppercase(),
        ] {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_directory_is_made_and_kept_in() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::Directory(directory.path().join("a/b"));
        let pictures = Pictures::open(&place).unwrap();
        pictures
            .put("x.png", Bytes::from_static(b"x"))
            .await
            .unwrap();
        let got = pictures.get("x.png").await.unwrap().bytes().await.unwrap();
        assert_eq!(got, "x");
        assert!(directory.path().join("a/b/x.png").is_file());
        let nothing = pictures.get("y.png").await.unwrap_err();
        assert!(matches!(nothing, object_store::Error::NotFound { .. }));
    }
}
