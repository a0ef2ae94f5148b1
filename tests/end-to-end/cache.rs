//! The cache of an S3 store: one fetch serves concurrent requests, blobs are verified, and the size is limited.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use platformer_tests::dice::Dice;
use platformer_tests::fixture::digest;
use platformer_tests::http;
use platformer_tests::power::Disk;
use platformer_tests::s3::{Fault, Request, S3, proxy};
use platformer_tests::server::Server;

const MEBIBYTE: usize = 1 << 20;

/// A server with a cache, whose store is behind a proxy that records reads of blobs.
struct Cached {
    server: Server,
    reads: Arc<Mutex<Vec<String>>>,
    corrupts: Arc<AtomicBool>,
}

fn is_blob_read(request: &Request) -> bool {
    request.head.starts_with("GET ") && request.head.contains("/blobs/")
}

fn cached(store: &S3, directory: &Path, size: &str) -> Cached {
    let (reads, corrupts) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(AtomicBool::new(false)),
    );
    let (recorded, corrupt) = (Arc::clone(&reads), Arc::clone(&corrupts));
    let proxy = proxy(store.address, move |request| {
        if !is_blob_read(request) {
            return Fault::None;
        }
        let line = request.head.lines().next().unwrap_or_default();
        recorded.lock().unwrap().push(line.to_owned());
        if corrupt.load(Ordering::Relaxed) {
            Fault::CorruptAnswer
        } else {
            Fault::None
        }
    });
    let directory = directory.display().to_string();
    let settings = [("CACHE", directory.as_str()), ("CACHE_SIZE", size)];
    let server = Server::start_on(&store.at_address(proxy), "cache", &settings);
    Cached {
        server,
        reads,
        corrupts,
    }
}

impl Cached {
    fn reads(&self) -> usize {
        self.reads.lock().unwrap().len()
    }

    fn assert_reads(&self, count: usize, message: &str) {
        let reads = self.reads.lock().unwrap();
        let log = self.server.process().stderr_so_far();
        assert_eq!(reads.len(), count, "{message}: {reads:#?}\n{log}");
    }
}

#[test]
fn one_fetch_serves_concurrent_requests_and_later_ones() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let large = Dice::new(5).noise(20 * MEBIBYTE);
    let cached_one = cached(&store, directory.path(), "1GiB");
    let path = "/artefacts/hello/1.0.0/f";
    cached_one.server.publish(path, &large);
    thread::scope(|scope| {
        for reader in 0..16_usize {
            let (server, large) = (&cached_one.server, &large);
            scope.spawn(move || {
                if reader % 4 == 3 {
                    let range = format!("bytes={}-{}", reader * MEBIBYTE, reader * MEBIBYTE + 99);
                    let part = server.request("GET", path, &[("Range", &range)], b"");
                    assert_eq!(part.status, 206);
                    assert!(part.body == large[reader * MEBIBYTE..][..100]);
                } else {
                    assert!(server.get(path).body == *large);
                }
            });
        }
    });
    cached_one.assert_reads(1, "one fetch serves all requests");
    assert!(cached_one.server.get(path).body == large);
    cached_one.assert_reads(1, "the cache serves the request");
    // The fetch of a small file ends while other requests arrive.
    for number in 1..=40 {
        let path = format!("/artefacts/hello/1.1.{number}/f");
        cached_one.server.publish(&path, &large[..number]);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(cached_one.server.get(&path).body == large[..number]));
            }
        });
    }
    cached_one.assert_reads(41, "one fetch serves all requests");
    cached_one.server.stop().expect(0);
    // The cache survives a restart.
    let restarted = cached(&store, directory.path(), "1GiB");
    assert!(restarted.server.get(path).body == large);
    restarted.assert_reads(0, "the cache serves the request");
}

#[test]
fn a_corrupt_fetch_is_neither_served_nor_cached() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let bytes = Dice::new(6).noise(3 * MEBIBYTE);
    let cached = cached(&store, directory.path(), "1GiB");
    let path = "/artefacts/hello/1.0.0/f";
    cached.server.publish(path, &bytes);
    cached.corrupts.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let answer = http::try_request(cached.server.address, "GET", path, &[], b"");
        let is_whole = answer.is_some_and(|answer| answer.body.len() == bytes.len());
        assert!(!is_whole, "a client got a complete corrupt file");
    }
    cached.corrupts.store(false, Ordering::Relaxed);
    assert_eq!(digest(&cached.server.get(path).body), digest(&bytes));
    cached
        .server
        .stop()
        .expect(0)
        .says("expected 3145728 bytes with sha256:");
}

#[test]
fn the_cache_evicts_the_least_recently_used_blob() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let cached = cached(&store, directory.path(), "3MiB");
    let path = |number: usize| format!("/artefacts/hello/1.0.{number}/f");
    for number in 0..5 {
        cached
            .server
            .publish(&path(number), vec![u8::try_from(number).unwrap(); MEBIBYTE]);
        assert_eq!(cached.server.get(&path(number)).body.len(), MEBIBYTE);
    }
    let blob_count = || {
        let files = std::fs::read_dir(directory.path()).unwrap().flatten();
        let is_blob = |entry: &std::fs::DirEntry| {
            entry.path().is_file() && !entry.file_name().as_encoded_bytes().starts_with(b".")
        };
        files.filter(is_blob).count()
    };
    assert_eq!(blob_count(), 3);
    let before = cached.reads();
    cached.server.get(&path(4));
    assert_eq!(cached.reads(), before, "the most recent blob is cached");
    cached.server.get(&path(0));
    assert_eq!(cached.reads(), before + 1, "the oldest blob is evicted");
    // A blob that is larger than the cache comes from the store.
    let huge = vec![9; 4 * MEBIBYTE];
    cached.server.publish("/artefacts/hello/2.0.0/f", &huge);
    assert!(cached.server.get("/artefacts/hello/2.0.0/f").body == huge);
    assert_eq!(blob_count(), 3);
}

#[test]
fn without_a_usable_directory_requests_are_served_from_the_store() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let cached = cached(&store, directory.path(), "1GiB");
    let bytes = Dice::new(7).noise(3 * MEBIBYTE);
    let path = "/artefacts/hello/1.0.0/f";
    cached.server.publish(path, &bytes);
    // Replaces a directory by a file, so that writes to the cache fail.
    std::fs::remove_dir(directory.path().join("unfinished")).unwrap();
    std::fs::write(directory.path().join("unfinished"), "").unwrap();
    for _ in 0..2 {
        assert!(cached.server.get(path).body == bytes);
    }
    cached
        .server
        .stop()
        .expect(0)
        .says("failed to write to the cache");
}

#[test]
fn concurrent_fetches_stay_within_the_size_limit() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let cached = cached(&store, directory.path(), "20MiB");
    let bytes = |number: u8| vec![number; 9 * MEBIBYTE];
    let path = |number: u8| format!("/artefacts/hello/1.0.{number}/f");
    for number in 0..5 {
        cached.server.publish(&path(number), bytes(number));
    }
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut max = 0;
            while !is_done.load(Ordering::Relaxed) {
                max = max.max(size_of(directory.path()));
            }
            max
        });
        let readers: Vec<_> = (0..5)
            .map(|number| {
                let server = &cached.server;
                scope.spawn(move || assert!(server.get(&path(number)).body == bytes(number)))
            })
            .collect();
        for reader in readers {
            reader.join().unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        let max = watch.join().unwrap();
        assert!(
            (1..=20 * MEBIBYTE as u64).contains(&max),
            "the cache grew to {max} bytes"
        );
    });
}

/// Returns the total size of the files in a directory tree.
fn size_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries
        .filter_map(|entry| {
            let found = entry.metadata().ok()?;
            Some(if found.is_dir() {
                size_of(&entry.path())
            } else {
                found.len()
            })
        })
        .sum()
}

#[test]
fn downloads_complete_when_the_cache_disk_is_full() {
    let (store, disk) = (S3::moto(), Disk::with_size(16 << 20));
    let cached = cached(&store, &disk.mount_point(), "1GiB");
    let large = Dice::new(9).noise(40 * MEBIBYTE);
    let path = "/artefacts/hello/1.0.0/f";
    cached.server.publish(path, &large);
    for _ in 0..2 {
        assert!(cached.server.get(path).body == large);
    }
    let small = Dice::new(10).noise(MEBIBYTE);
    cached.server.publish("/artefacts/hello/1.0.1/f", &small);
    for _ in 0..2 {
        assert!(cached.server.get("/artefacts/hello/1.0.1/f").body == small);
    }
    cached
        .server
        .stop()
        .expect(0)
        .says("failed to fetch a blob into the cache");
}

#[test]
fn one_process_uses_the_cache_until_it_stops() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let one = cached(&store, directory.path(), "1GiB");
    let bytes = Dice::new(11).noise(MEBIBYTE);
    let path = "/artefacts/hello/1.0.0/f";
    one.server.publish(path, &bytes);
    assert!(one.server.get(path).body == bytes);
    let two = cached(&store, directory.path(), "1GiB");
    for reads in 1..3 {
        assert!(two.server.get(path).body == bytes);
        assert_eq!(
            two.reads(),
            reads,
            "the second process reads from the store"
        );
    }
    one.server.stop().expect(0);
    two.server
        .process()
        .wait_for_stderr("the cache is open now");
    // A blob that a crash truncated is fetched again.
    let blob = std::fs::read_dir(directory.path())
        .unwrap()
        .flatten()
        .find(|entry| entry.metadata().unwrap().len() == bytes.len() as u64)
        .unwrap();
    std::fs::write(blob.path(), "short").unwrap();
    for _ in 0..2 {
        assert!(two.server.get(path).body == bytes);
    }
    assert_eq!(two.reads(), 3);
    two.server
        .stop()
        .expect(0)
        .says("another process uses the directory");
}
