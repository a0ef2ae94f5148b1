//! The cache in front of S3: one fetch for many, verified on the way in, bounded.

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

/// A server with a cache, by way of a proxy that notes what is read of blobs.
struct Cached {
    server: Server,
    reads: Arc<Mutex<Vec<String>>>,
    damages: Arc<AtomicBool>,
}

fn is_read_of_a_blob(request: &Request) -> bool {
    request.head.starts_with("GET ") && request.head.contains("/blobs/")
}

fn cached(store: &S3, directory: &Path, size: &str) -> Cached {
    let (reads, damages) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(AtomicBool::new(false)),
    );
    let (notes, damage) = (Arc::clone(&reads), Arc::clone(&damages));
    let way = proxy(store.address, move |request| {
        if !is_read_of_a_blob(request) {
            return Fault::None;
        }
        let line = request.head.lines().next().unwrap_or_default();
        notes.lock().unwrap().push(line.to_owned());
        if damage.load(Ordering::Relaxed) {
            Fault::CorruptAnswer
        } else {
            Fault::None
        }
    });
    let directory = directory.display().to_string();
    let settings = [("CACHE", directory.as_str()), ("CACHE_SIZE", size)];
    let server = Server::start_on(&store.at_address(way), "cache", &settings);
    Cached {
        server,
        reads,
        damages,
    }
}

impl Cached {
    fn reads(&self) -> usize {
        self.reads.lock().unwrap().len()
    }

    fn expect_reads(&self, count: usize, why: &str) {
        let reads = self.reads.lock().unwrap();
        let log = self.server.process().stderr_so_far();
        assert_eq!(reads.len(), count, "{why}: {reads:#?}\n{log}");
    }
}

#[test]
fn one_fetch_serves_many_and_is_kept() {
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
    cached_one.expect_reads(1, "one fetch for all");
    assert!(cached_one.server.get(path).body == large);
    cached_one.expect_reads(1, "from the cache");
    // Of what is small, a fetch ends while others still ask.
    for number in 1..=40 {
        let path = format!("/artefacts/hello/1.1.{number}/f");
        cached_one.server.publish(&path, &large[..number]);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(cached_one.server.get(&path).body == large[..number]));
            }
        });
    }
    cached_one.expect_reads(41, "one fetch for all");
    cached_one.server.stop().expect(0);
    // And after a restart.
    let again = cached(&store, directory.path(), "1GiB");
    assert!(again.server.get(path).body == large);
    again.expect_reads(0, "it was kept");
}

#[test]
fn damage_on_the_way_is_neither_served_nor_kept() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let bytes = Dice::new(6).noise(3 * MEBIBYTE);
    let cached = cached(&store, directory.path(), "1GiB");
    let path = "/artefacts/hello/1.0.0/f";
    cached.server.publish(path, &bytes);
    cached.damages.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let answer = http::try_request(cached.server.address, "GET", path, &[], b"");
        let is_whole = answer.is_some_and(|answer| answer.body.len() == bytes.len());
        assert!(!is_whole, "nobody is given all of what is damaged");
    }
    cached.damages.store(false, Ordering::Relaxed);
    assert_eq!(digest(&cached.server.get(path).body), digest(&bytes));
    cached
        .server
        .stop()
        .expect(0)
        .says("expected 3145728 bytes with sha256:");
}

#[test]
fn it_stays_within_its_bound() {
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
    let kept = || {
        let files = std::fs::read_dir(directory.path()).unwrap().flatten();
        let is_blob = |entry: &std::fs::DirEntry| {
            entry.path().is_file() && !entry.file_name().as_encoded_bytes().starts_with(b".")
        };
        files.filter(is_blob).count()
    };
    assert_eq!(kept(), 3);
    let before = cached.reads();
    cached.server.get(&path(4));
    assert_eq!(cached.reads(), before, "what was used last is here");
    cached.server.get(&path(0));
    assert_eq!(cached.reads(), before + 1, "what was used first is not");
    // What is larger than all of it comes from the store.
    let huge = vec![9; 4 * MEBIBYTE];
    cached.server.publish("/artefacts/hello/2.0.0/f", &huge);
    assert!(cached.server.get("/artefacts/hello/2.0.0/f").body == huge);
    assert_eq!(kept(), 3);
}

#[test]
fn without_a_disk_for_it_everything_comes_from_the_store() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let cached = cached(&store, directory.path(), "1GiB");
    let bytes = Dice::new(7).noise(3 * MEBIBYTE);
    let path = "/artefacts/hello/1.0.0/f";
    cached.server.publish(path, &bytes);
    // Nothing can be made in what is no directory any more.
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

/// Of what is fetched at the same time, too.
#[test]
fn fetches_at_once_stay_within_its_bound() {
    let store = S3::moto();
    let directory = tempfile::tempdir().unwrap();
    let cached = cached(&store, directory.path(), "20MiB");
    let bytes = |number: u8| vec![number; 9 * MEBIBYTE];
    let path = |number: u8| format!("/artefacts/hello/1.0.{number}/f");
    for number in 0..5 {
        cached.server.publish(&path(number), bytes(number));
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(size_of(directory.path()));
            }
            most
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
        is_over.store(true, Ordering::Relaxed);
        let most = watch.join().unwrap();
        assert!(
            (1..=20 * MEBIBYTE as u64).contains(&most),
            "{most} bytes were there at once"
        );
    });
}

/// Bytes of the files in it.
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
fn a_full_disk_cuts_no_download_off() {
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

/// Two processes do not share it; a successor has it when its predecessor has gone.
#[test]
fn one_process_has_it_and_leaves_it_to_the_next() {
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
        assert_eq!(two.reads(), reads, "each time from the store");
    }
    one.server.stop().expect(0);
    two.server
        .process()
        .wait_for_stderr("the cache is open now");
    // What a crash left behind, shorter than it was, is fetched anew.
    let kept = std::fs::read_dir(directory.path())
        .unwrap()
        .flatten()
        .find(|entry| entry.metadata().unwrap().len() == bytes.len() as u64)
        .unwrap();
    std::fs::write(kept.path(), "short").unwrap();
    for _ in 0..2 {
        assert!(two.server.get(path).body == bytes);
    }
    assert_eq!(two.reads(), 3);
    two.server
        .stop()
        .expect(0)
        .says("another process uses the directory");
}
