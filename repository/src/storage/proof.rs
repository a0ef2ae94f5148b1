//! Proves that a store creates an object once: of concurrent creates, exactly one succeeds. Some S3 servers
//! ignore the condition or check it too late, so two publishers of one file would both succeed.
//!
//! 1. concurrent creates of one object, each on its own connection: one succeeds, and its bytes are stored
//! 2. a later create: refused
//! 3. a create of an object that was written without a condition: refused

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::StorageError;
use super::keys::{self, BlobId, Key};
use super::store::{Created, Store};

/// Concurrent creates. Stores that check too late let two to five of 32 succeed.
const RACERS: usize = 32;

pub(super) async fn prove(store: &Arc<dyn Store>) -> Result<(), StorageError> {
    let [raced, repeated, written] = [(); 3].map(|()| keys::proof(BlobId::new()));
    // If the store does not answer one request, it will not answer 32.
    let outcome = match store.probe().await {
        Ok(()) => check(store, [&raced, &repeated, &written]).await,
        Err(error) => Err(error),
    };
    if let Err(error @ StorageError::Object { .. }) = outcome {
        return Err(StorageError::Unusable {
            location: store.location(),
            source: error.into(),
        });
    }
    for key in [raced, repeated, written] {
        if let Err(error) = store.delete(&key).await {
            tracing::warn!(error = %error.chain(), "failed to delete a proof; gc deletes it");
        }
    }
    outcome
}

/// Creates the object concurrently, and returns the contents of the creates that succeeded.
async fn race(store: &Arc<dyn Store>, key: &Key) -> Result<Vec<String>, StorageError> {
    let attempts = (0..RACERS).map(|racer| {
        let (store, key) = (Arc::clone(store), key.clone());
        tokio::spawn(async move { store.create(&key, Bytes::from(racer.to_string())).await })
    });
    let mut winners = Vec::new();
    for (racer, attempt) in join_all(attempts).await.into_iter().enumerate() {
        let created = attempt.map_err(|error| StorageError::object("create", key, error))?;
        if created? == Created::Now {
            winners.push(racer.to_string());
        }
    }
    Ok(winners)
}

async fn check(
    store: &Arc<dyn Store>,
    [raced, repeated, written]: [&Key; 3],
) -> Result<(), StorageError> {
    let unfit = |reason: String| StorageError::Unfit {
        location: store.location(),
        reason,
    };
    let mut raced = raced;
    let mut winners = race(store, raced).await?;
    if winners.is_empty() {
        // The answer to the winner may have been lost, and its retry found its own object.
        raced = repeated;
        winners = race(store, raced).await?;
    }
    let [winner] = winners.as_slice() else {
        return Err(unfit(format!(
            "{} of {RACERS} concurrent creates of one object succeeded, expected 1; use a store that honours If-None-Match: * on PUT (versioned buckets of some servers do not)",
            winners.len()
        )));
    };
    let stored = store.read(raced).await?;
    if stored.as_deref() != Some(winner.as_bytes()) {
        return Err(unfit(
            "the store acknowledged a conditional create that another writer won".to_owned(),
        ));
    }
    if store.create(raced, Bytes::from_static(b"later")).await? == Created::Now {
        return Err(unfit(
            "a conditional create overwrote an existing object; use a store that honours If-None-Match: * on PUT"
                .to_owned(),
        ));
    }
    store.repair(written, Bytes::from_static(b"first")).await?;
    if store.create(written, Bytes::from_static(b"second")).await? == Created::Now {
        return Err(unfit(
            "a conditional create overwrote an object that was written without a condition; use a store that honours If-None-Match: * on PUT"
                .to_owned(),
        ));
    }
    Ok(())
}
