//! Maintenance of a store: `check`, repair, `gc`, retention and quotas.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use platformer_tests::binaries;
use platformer_tests::dice::Dice;
use platformer_tests::http;
use platformer_tests::run::{self, Exit};
use platformer_tests::server::Server;

fn command(storage: &Path, arguments: &[&str], settings: &[(&str, &str)], code: i32) -> Exit {
    let storage = format!("file://{}", storage.display());
    let mut environment = vec![("REPOSITORY_STORAGE".into(), storage.into())];
    let settings = settings.iter();
    environment.extend(
        settings.map(|(name, value)| (format!("REPOSITORY_{name}").into(), (*value).into())),
    );
    let ended = run::spawn(&binaries::repository(), arguments, &environment).wait();
    ended.expect(code);
    ended
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(entry.path());
        }
    }
    found
}

/// `SOAK_FLIPS` sets the number of damaged objects.
#[test]
fn a_flipped_bit_in_any_object_is_found_and_repaired() {
    let objects: usize = std::env::var("SOAK_FLIPS").map_or(600, |count| count.parse().unwrap());
    let (storage, server) = Server::fresh();
    let artefact = |number: usize| {
        (
            format!("/artefacts/hello/1.0.{number}/f"),
            format!("bytes of {number}"),
        )
    };
    for number in 0..objects / 2 {
        let (path, bytes) = artefact(number);
        server.publish(&path, bytes);
    }
    server.stop().expect(0);
    command(storage.path(), &["check"], &[], 0);
    let mut dice = Dice::new(9);
    let damaged: Vec<PathBuf> = ["apps", "blobs"]
        .iter()
        .flat_map(|directory| files(&storage.path().join(directory)))
        .collect();
    assert!(damaged.len() >= objects, "{}", damaged.len());
    for path in &damaged {
        let mut bytes = std::fs::read(path).unwrap();
        let random = u32::from_le_bytes(dice.noise(4).try_into().unwrap());
        let bit = random as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, bytes).unwrap();
    }
    let checked = command(storage.path(), &["check"], &[], 1);
    let findings = checked
        .stdout
        .lines()
        .filter(|line| line.contains("damaged") || line.contains("differs from its entries"));
    assert_eq!(findings.count(), damaged.len());
    // The server repairs the log when it reads the log. Publishing the same bytes repairs the blobs.
    let server = Server::start(storage.path());
    for number in 0..objects / 2 {
        let (path, bytes) = artefact(number);
        assert_eq!(server.put(&path, &bytes).status, 200);
        assert_eq!(server.get(&path).text(), bytes);
    }
    server.stop().expect(0);
    for path in files(&storage.path().join("apps/hello")) {
        if path.to_string_lossy().contains("segments") {
            std::fs::remove_file(path).unwrap();
        }
    }
    command(storage.path(), &["check"], &[], 0);
}

#[test]
fn missing_objects_are_reported() {
    let (storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "x");
    server.publish("/artefacts/hello/1.1.0/f", "y");
    server.publish("/artefacts/hello/1.2.0/f", "z");
    server.stop().expect(0);
    for blob in files(&storage.path().join("blobs")) {
        std::fs::remove_file(blob).unwrap();
    }
    let entry = storage.path().join("apps/hello/log/0000000002.json");
    let backup = std::fs::read(&entry).unwrap();
    std::fs::remove_file(&entry).unwrap();
    let checked = command(storage.path(), &["check"], &[], 1);
    assert!(
        checked
            .stdout
            .contains("hello 1.0.0 f: its bytes are missing; publish the same file again")
    );
    assert!(
        checked
            .stdout
            .contains("apps/hello/log/0000000002.json: missing")
    );
    // With a gap in the log, gc deletes nothing, and the server writes nothing into the gap.
    let refused = command(storage.path(), &["gc", "--delete"], &[], 1);
    refused.says("apps/hello/log/0000000002.json is missing");
    let server = Server::start(storage.path());
    assert_eq!(server.get("/artefacts/hello/1.2.0/f").status, 500);
    assert_eq!(server.put("/artefacts/hello/1.3.0/f", "x").status, 500);
    server.stop().expect(0).says("restore it from a backup");
    std::fs::write(&entry, backup).unwrap();
    let server = Server::start(storage.path());
    for (version, bytes) in [("1.0.0", "x"), ("1.1.0", "y"), ("1.2.0", "z")] {
        let path = format!("/artefacts/hello/{version}/f");
        assert_eq!(server.get(&path).status, 500);
        assert_eq!(server.put(&path, bytes).status, 200);
        assert_eq!(server.get(&path).text(), bytes);
    }
}

/// The name of an old blob of an interrupted upload.
const OLD_BLOB: &str = "0180a1b2c3d47e5f8a9b0c1d2e3f4a5b";

#[test]
fn gc_deletes_old_unreferenced_blobs_and_keeps_slow_uploads() {
    let (storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "first");
    std::fs::write(storage.path().join("blobs").join(OLD_BLOB), "garbage").unwrap();
    // Leftovers of a killed server and of a killed command.
    std::fs::write(storage.path().join("proofs").join(OLD_BLOB), "1").unwrap();
    let leftover = storage.path().join("uploads/killed");
    let file = std::fs::File::create(&leftover).unwrap();
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    file.set_modified(long_ago).unwrap();
    let settings = [("UPLOAD_TIMEOUT", "10s")];
    let dry = command(storage.path(), &["gc"], &settings, 0);
    assert!(
        dry.stdout
            .contains(&format!("would delete blob {OLD_BLOB}")),
        "{}",
        dry.stdout
    );
    assert!(
        dry.stdout
            .contains("2 leftovers of interrupted uploads; nothing was deleted")
    );
    assert!(leftover.exists());
    let mut upload = TcpStream::connect(server.address).unwrap();
    upload
        .write_all(b"PUT /artefacts/hello/1.1.0/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n")
        .unwrap();
    for _ in 0..10 {
        upload.write_all(b"abc").unwrap();
        let collected = command(storage.path(), &["gc", "--delete"], &settings, 0);
        assert!(!collected.stdout.contains("hello"), "{}", collected.stdout);
        thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(http::read(&mut upload, false).status, 201);
    assert_eq!(
        server.get("/artefacts/hello/1.1.0/f").text(),
        "abc".repeat(10)
    );
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "first");
    assert_eq!(files(&storage.path().join("blobs")).len(), 2);
    assert!(files(&storage.path().join("proofs")).is_empty());
    assert!(!leftover.exists());
}

#[test]
fn an_upload_that_takes_too_long_gets_408() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("UPLOAD_TIMEOUT", "300ms")]);
    let mut upload = TcpStream::connect(server.address).unwrap();
    upload
        .write_all(b"PUT /artefacts/hello/1.1.0/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        .unwrap();
    for _ in 0..8 {
        let _ = upload.write_all(b"abc");
        thread::sleep(Duration::from_millis(80));
    }
    let answer = http::read(&mut upload, false);
    assert_eq!(answer.status, 408);
    assert!(answer.detail().contains("REPOSITORY_UPLOAD_TIMEOUT"));
}

#[test]
fn retention_purges_old_versions_and_keeps_released_ones() {
    let (storage, server) = Server::fresh();
    for number in 0..6 {
        server.publish(&format!("/artefacts/hello/1.0.{number}/f"), "x");
    }
    server.publish("/channels/hello/stable", "1.0.0");
    server.publish("/channels/hello/stable", "1.0.1");
    assert_eq!(server.get("/retention/hello").text(), "");
    assert_eq!(server.put("/retention/hello", "keep=0").status, 422);
    assert_eq!(
        server.put("/retention/hello", "keep=2 keep-for=0s").status,
        201
    );
    assert_eq!(
        server.put("/retention/hello", "keep=2 keep-for=0s").status,
        200
    );
    let dry = command(storage.path(), &["gc"], &[], 0);
    for (version, is_purged) in [
        ("1.0.0", false),
        ("1.0.1", false),
        ("1.0.2", true),
        ("1.0.3", true),
        ("1.0.4", false),
    ] {
        let line = format!("would purge hello {version}\n");
        assert_eq!(
            dry.stdout.contains(&line),
            is_purged,
            "{version}: {}",
            dry.stdout
        );
    }
    command(storage.path(), &["gc", "--delete"], &[], 0);
    // The running server notices the purge of another process.
    run::eventually("1.0.2 is purged", || {
        server.get("/artefacts/hello/1.0.2/f").status == 410
    });
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").status, 200);
    assert_eq!(
        server.put("/retention/hello", "keep=1 keep-for=1h").status,
        201
    );
    let young = command(storage.path(), &["gc"], &[], 0);
    assert!(
        young.stdout.contains("0 expired versions"),
        "{}",
        young.stdout
    );
}

#[test]
fn uploads_beyond_the_quota_get_507() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("QUOTA", "10KiB")]);
    server.publish("/artefacts/hello/1.0.0/f", [1; 8 << 10]);
    let full = server.put("/artefacts/hello/1.1.0/f", [2; 4 << 10]);
    assert_eq!(full.status, 507);
    assert!(
        full.detail().contains("the quota of hello is 10.0 KiB"),
        "{}",
        full.detail()
    );
    assert_eq!(
        server.put("/artefacts/other/1.0.0/f", [2; 4 << 10]).status,
        201
    );
    server.publish("/retention/hello", "quota=20KiB");
    server.publish("/artefacts/hello/1.1.0/f", [2; 4 << 10]);
    server.publish("/retention/hello", "quota=12KiB");
    assert_eq!(server.put("/artefacts/hello/1.2.0/f", "x").status, 507);
    assert_eq!(
        server.put("/artefacts/hello/1.1.0/f", [2; 4 << 10]).status,
        200
    );
    let purged = server.request("DELETE", "/artefacts/hello/1.0.0?purge=true", &[], b"");
    assert_eq!(purged.status, 204);
    server.publish("/artefacts/hello/1.2.0/f", "x");
}

/// gc keeps the blobs of an app whose log is lost. An empty directory of a failed write does not stop gc.
#[test]
fn blobs_of_a_lost_log_are_not_garbage() {
    let (storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "x");
    server.publish("/artefacts/other/1.0.0/f", "y");
    server.stop().expect(0);
    let settings = [("UPLOAD_TIMEOUT", "10ms"), ("GC_AGE", "20ms")];
    let (log, gone) = (
        storage.path().join("apps/hello"),
        storage.path().join("gone"),
    );
    std::fs::rename(&log, &gone).unwrap();
    thread::sleep(Duration::from_millis(1100));
    let checked = command(storage.path(), &["check"], &[], 1);
    assert!(
        checked
            .stdout
            .contains("apps/hello/log/0000000001.json: the app is listed, but its log is missing"),
        "{}",
        checked.stdout
    );
    command(storage.path(), &["gc", "--delete"], &settings, 1)
        .says("apps/hello/log/0000000001.json is missing");
    assert_eq!(files(&storage.path().join("blobs")).len(), 2);
    std::fs::rename(&gone, &log).unwrap();
    std::fs::create_dir_all(storage.path().join("apps/failed/log")).unwrap();
    std::fs::write(storage.path().join("blobs").join(OLD_BLOB), "garbage").unwrap();
    command(storage.path(), &["check"], &[], 0);
    command(storage.path(), &["gc", "--delete"], &settings, 0);
    assert_eq!(files(&storage.path().join("blobs")).len(), 2);
    let server = Server::start(storage.path());
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "x");
    // Commands on an empty directory fail and do not initialize it.
    let empty = tempfile::tempdir().unwrap();
    for name in ["check", "gc", "export"] {
        let arguments = [&[name][..], &["tree"][..usize::from(name == "export")]].concat();
        command(empty.path(), &arguments, &[], 1).says("contains no repository");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
