//! The tests that every store must pass. They run on a disk, and on S3 if `TEST_S3` names a bucket. The
//! end-to-end tests run the repository against S3 servers.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::disk::Disk;
use super::keys::{self, BlobId, Owner};
use super::s3::S3;
use super::store::{Chunks, Created, Store};
use super::{Storage, proof};
use crate::storage::entry::Entry;

async fn stores(root: &Path) -> Vec<Arc<dyn Store>> {
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(Disk::open(root).await.unwrap())];
    if let Ok(bucket) = std::env::var("TEST_S3") {
        let prefix = uuid::Uuid::now_v7().simple().to_string();
        stores.push(Arc::new(S3::open(&bucket, &prefix).unwrap()));
    }
    stores
}

fn owner() -> Owner {
    "hello".parse().unwrap()
}

async fn whole(chunks: Chunks) -> Vec<u8> {
    let chunks: Vec<Bytes> = chunks.map(Result::unwrap).collect().await;
    chunks.concat()
}

async fn write(store: &Arc<dyn Store>, id: BlobId, parts: &[Bytes]) {
    let mut writer = store.begin(&keys::blob(id)).await.unwrap();
    for part in parts {
        writer.write(part.clone()).await.unwrap();
    }
    writer.finish().await.unwrap();
}

#[tokio::test]
async fn objects_are_created_once() {
    let root = tempfile::tempdir().unwrap();
    for store in stores(root.path()).await {
        proof::prove(&store).await.unwrap();
        let key = keys::entry(&owner(), 1);
        assert_eq!(store.read(&key).await.unwrap(), None);
        let creates = (0..20).map(|number: u8| {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.create(&key, vec![number].into()).await.unwrap() }
        });
        let created = join_all(creates).await;
        let winners: Vec<usize> = (0..20).filter(|at| created[*at] == Created::Now).collect();
        let [winner] = winners[..] else {
            panic!("{winners:?} won at {}", store.location());
        };
        let stored = store.read(&key).await.unwrap().unwrap();
        assert_eq!(usize::from(stored[0]), winner);
        store.make_durable(&key).await.unwrap();
        store.repair(&key, "repaired".into()).await.unwrap();
        assert_eq!(store.read(&key).await.unwrap().unwrap(), "repaired");
        store.delete(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        assert_eq!(store.read(&key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn blobs_are_readable_when_they_are_finished() {
    let root = tempfile::tempdir().unwrap();
    for store in stores(root.path()).await {
        for size in [0, 1, 70_000, 9 << 20, 25 << 20] {
            let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
            let parts: Vec<Bytes> = bytes.chunks(1 << 20).map(Bytes::copy_from_slice).collect();
            let id = BlobId::new();
            let key = keys::blob(id);
            let mut aborted = store.begin(&key).await.unwrap();
            for part in &parts {
                aborted.write(part.clone()).await.unwrap();
            }
            assert!(store.open(&key, None).await.unwrap().is_none());
            aborted.abort().await;
            assert!(store.open(&key, None).await.unwrap().is_none());
            write(&store, id, &parts).await;
            let stream = store.open(&key, None).await.unwrap().unwrap();
            assert!(whole(stream).await == bytes);
            if size > 10 {
                let part = store.open(&key, Some(3..10)).await.unwrap().unwrap();
                assert_eq!(whole(part).await, &bytes[3..10]);
                let all = store
                    .open(&key, Some(0..size as u64))
                    .await
                    .unwrap()
                    .unwrap();
                assert!(whole(all).await == bytes);
            }
            store.delete(&key).await.unwrap();
            assert!(store.open(&key, Some(0..1)).await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn lists_continue_after_a_name() {
    let root = tempfile::tempdir().unwrap();
    for store in stores(root.path()).await {
        let storage = Storage::new(Arc::clone(&store));
        let names = ["a", "a-b", "a-b-c", "a0", "b"];
        for name in names.iter().rev() {
            let app = name.parse().unwrap();
            storage.register(&app).await.unwrap();
            storage.register(&app).await.unwrap();
            let first = keys::entry(&Owner::App(app), 1);
            store.create(&first, "x".into()).await.unwrap();
        }
        for after in 0..names.len() {
            for limit in 1..=names.len() {
                let before = after.checked_sub(1).map(|last| names[last]);
                let listed = storage.names(before, limit).await.unwrap();
                let expected: Vec<&str> = names[after..].iter().take(limit).copied().collect();
                assert_eq!(listed, expected, "after {before:?} at {}", store.location());
            }
        }
        let mut owners: Vec<String> = storage
            .owners()
            .await
            .unwrap()
            .keys()
            .map(Owner::to_string)
            .collect();
        owners.sort_unstable();
        assert_eq!(owners, names);
    }
}

#[tokio::test]
async fn logs_are_read_in_order_with_and_without_segments() {
    const COUNT: u64 = 2500;
    let root = tempfile::tempdir().unwrap();
    for store in stores(root.path()).await {
        let storage = Storage::new(store);
        let append = async |number: u64| {
            let entry = Entry {
                number,
                id: uuid::Uuid::now_v7(),
                created: String::new(),
                by: String::new(),
                events: vec![number],
            };
            storage.append(&owner(), &entry).await.unwrap()
        };
        for number in 1..=COUNT {
            assert_eq!(append(number).await, Created::Now);
        }
        assert_eq!(append(7).await, Created::Already);
        let read = async |after: u64| {
            let mut seen = Vec::new();
            let last = storage
                .read_log(&owner(), after, |entry: Entry<u64>| {
                    seen.extend(entry.events);
                })
                .await
                .unwrap();
            assert_eq!(last, COUNT.max(after));
            seen
        };
        let all: Vec<u64> = (1..=COUNT).collect();
        assert_eq!(read(0).await, all);
        assert_eq!(read(COUNT - 1).await, [COUNT]);
        assert!(read(COUNT).await.is_empty());
        let segment = keys::segment(&owner(), 0);
        let written = storage.segment(&owner(), 0).await.unwrap().unwrap();
        storage
            .store
            .repair(&segment, written.clone())
            .await
            .unwrap();
        assert_eq!(read(0).await, all);
        // Its entries are read instead.
        let mut damaged = written.to_vec();
        damaged[100] ^= 1;
        storage
            .store
            .repair(&segment, damaged.into())
            .await
            .unwrap();
        assert_eq!(read(0).await, all);
    }
}
