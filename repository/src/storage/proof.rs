//! Proof that a store keeps the one promise on which everything rests: of all who create an object,
//! exactly one is told that it made it. Some stores take the condition and do not look at it, and some
//! look too late; with those, two publishers would both win.
//!
//! 1. creates of one object at once, over as many connections: one winner, and its bytes are there
//! 2. one more, later: refused
//! 3. one over an object that was written without a condition: refused, too

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::StorageError;
use super::keys::{self, BlobId, Key};
use super::store::{Created, Store};

/// Creates at once. Stores that look too late were seen to let two to five of 32 win.
const RACERS: usize = 32;

pub(super) async fn prove(store: &Arc<dyn Store>) -> Result<(), StorageError> {
    let [raced, again, written] = [(); 3].map(|()| keys::proof(BlobId::new()));
    // One question first: of a store that is not there thirty-two would tell no more.
    let outcome = match store.answers().await {
        Ok(()) => all(store, [&raced, &again, &written]).await,
        Err(error) => Err(error),
    };
    if let Err(error @ StorageError::Object { .. }) = outcome {
        return Err(StorageError::Unusable {
            location: store.location(),
            source: error.into(),
        });
    }
    for key in [raced, again, written] {
        if let Err(error) = store.delete(&key).await {
            tracing::warn!(error = %error.chain(), "left a proof behind: gc removes it");
        }
    }
    outcome
}

/// Who was told to have made the object.
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

async fn all(
    store: &Arc<dyn Store>,
    [raced, again, written]: [&Key; 3],
) -> Result<(), StorageError> {
    let unfit = |reason: String| StorageError::Unfit {
        location: store.location(),
        reason,
    };
    let mut raced = raced;
    let mut winners = race(store, raced).await?;
    if winners.is_empty() {
        // The winner's answer may have been lost on the way, and its second attempt found the first.
        raced = again;
        winners = race(store, raced).await?;
    }
    let [winner] = winners.as_slice() else {
        return Err(unfit(format!(
            "of {RACERS} who created one object at once {} were told that they made it, so two publishers could both win: it must honour If-None-Match: * on PUT (versioned buckets of some stores do not)",
            winners.len()
        )));
    };
    let there = store.read(raced).await?;
    if there.as_deref() != Some(winner.as_bytes()) {
        return Err(unfit(
            "an object that was created has not the bytes of the one who was told that it made it"
                .to_owned(),
        ));
    }
    if store.create(raced, Bytes::from_static(b"later")).await? == Created::Now {
        return Err(unfit(
            "an object that existed was created again, so a publisher could overwrite another one's"
                .to_owned(),
        ));
    }
    store.mend(written, Bytes::from_static(b"first")).await?;
    if store.create(written, Bytes::from_static(b"second")).await? == Created::Now {
        return Err(unfit(
            "an object that was written without a condition was created over: the condition is not looked at"
                .to_owned(),
        ));
    }
    Ok(())
}
