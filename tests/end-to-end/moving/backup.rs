//! Exports as backups: repeated, interrupted, damaged, and of another history.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use platformer_tests::run::Exit;
use platformer_tests::server::Server;
use tempfile::TempDir;

use super::{command, contents, fill, on_disk};

/// A repository with every kind of object, and an export of it.
struct Backup {
    storage: TempDir,
    server: Server,
    directory: TempDir,
    tree: PathBuf,
}

impl Backup {
    fn new() -> Self {
        let (storage, server) = Server::fresh();
        fill(&server);
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        export(storage.path(), &tree, 0);
        Self {
            storage,
            server,
            directory,
            tree,
        }
    }

    /// Exports again, into the same directory.
    fn update(&self) {
        export(self.storage.path(), &self.tree, 0);
    }
}

fn export(storage: &Path, tree: &Path, code: i32) -> Exit {
    command(&on_disk(storage), &["export", tree.to_str().unwrap()], code)
}

fn import(tree: &Path, storage: &Path, code: i32) -> Exit {
    command(&on_disk(storage), &["import", tree.to_str().unwrap()], code)
}

#[test]
fn a_damaged_export_is_refused_and_a_failed_import_resumed() {
    let backup = Backup::new();
    let artefact = backup.tree.join("artefacts/hello/1.2.0/hello-1.2.0.tar.gz");
    let bytes = fs::read(&artefact).unwrap();
    fs::write(&artefact, "damaged").unwrap();
    let target = tempfile::tempdir().unwrap();
    import(&backup.tree, target.path(), 1).says("differs from what was exported: expected sha256:");
    fs::write(&artefact, bytes).unwrap();
    import(&backup.tree, target.path(), 0);
    let imported = Server::start(target.path());
    assert_eq!(contents(&imported), contents(&backup.server));
    let empty = backup.directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    import(&empty, target.path(), 1).says("is neither an export");
    let missing = backup.directory.path().join("missing");
    export(&missing, &backup.tree, 1).says("contains no repository");
}

#[test]
fn an_export_removes_purged_versions_and_skips_damaged_artefacts() {
    let backup = Backup::new();
    let Backup { server, tree, .. } = &backup;
    let purged = tree.join("artefacts/hello/1.0.0");
    assert!(purged.is_dir() && tree.join("releases/hello/r1").is_file());
    let purge = server.request("DELETE", "/artefacts/hello/1.0.0?purge=true", &[], b"");
    assert_eq!(purge.status, 204, "{}", purge.text());
    // The next export repairs damaged files, and removes the remains of an interrupted one.
    let other = tree.join("artefacts/other/0.1.0/other.bin");
    fs::write(&other, "z".repeat(70_000)).unwrap();
    fs::create_dir(tree.join(".unfinished")).unwrap();
    fs::write(tree.join(".unfinished/x"), "of an interrupted export").unwrap();
    backup.update();
    assert!(!purged.exists() && !tree.join("releases/hello/r1").exists());
    assert_eq!(fs::read_to_string(&other).unwrap(), "y".repeat(70_000));
    assert!(!tree.join(".unfinished").exists());

    let record = server.get("/artefacts/hello/1.1.0/").text();
    assert!(record.contains("extra"), "{record}");
    let blob = fs::read_dir(backup.storage.path().join("blobs"))
        .unwrap()
        .flatten()
        .find(|entry| fs::read(entry.path()).unwrap() == "1.1.0".repeat(20_000).as_bytes())
        .unwrap();
    fs::write(blob.path(), "damaged").unwrap();
    let fresh = backup.directory.path().join("fresh");
    export(backup.storage.path(), &fresh, 1)
        .says("1 artefacts are damaged or missing")
        .says("skipped hello 1.1.0 extra: expected sha256:");
    assert!(fresh.join("artefacts/other/0.1.0/other.bin").is_file());
    assert!(fresh.join("log/hello.jsonl").is_file());
    assert!(!fresh.join("artefacts/hello/1.1.0/extra").exists());
}

#[test]
fn an_incomplete_or_damaged_log_is_refused() {
    let backup = Backup::new();
    let log = backup.tree.join("log/hello.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let cut = lines[..lines.len() - 3].join("\n") + "\n";
    let without_one = [&lines[..2], &lines[3..]].concat().join("\n");
    let changed = text.replace("1.2.0", "1.2.7");
    let unfinished = lines[..lines.len() - 1].join("\n") + "\n";
    let doubled = format!("{text}{text}");
    for damaged in [
        cut,
        without_one,
        changed,
        unfinished,
        doubled,
        String::new(),
    ] {
        fs::write(&log, damaged).unwrap();
        let target = tempfile::tempdir().unwrap();
        import(&backup.tree, target.path(), 1).says("hello.jsonl");
        let empty = Server::start(target.path());
        assert_eq!(empty.get("/artefacts/hello/").status, 404);
    }
    fs::write(&log, text).unwrap();
    let artefact = backup.tree.join("artefacts/hello/1.2.0/extra");
    fs::remove_file(&artefact).unwrap();
    // An import must not block on a named pipe.
    let status = Command::new("mkfifo").arg(&artefact).status();
    assert!(status.unwrap().success());
    let target = tempfile::tempdir().unwrap();
    import(&backup.tree, target.path(), 1).says("it is not a regular file");
}

#[test]
fn a_backup_is_not_overwritten_by_another_history_and_imports_despite_losses() {
    let backup = Backup::new();
    let log = fs::read(backup.tree.join("log/hello.jsonl")).unwrap();
    let refusal = "export into an empty directory";
    let (storage, other) = Server::fresh();
    other.publish("/config/hello/hello.config", "A=1\n");
    other.publish("/artefacts/other/0.1.0/other.bin", "z");
    other.publish("/config/_default/_default.config", "A=1\n");
    export(storage.path(), &backup.tree, 1).says(refusal);
    let (storage, shorter) = Server::fresh();
    shorter.publish("/artefacts/other/0.1.0/other.bin", "z");
    export(storage.path(), &backup.tree, 1).says(refusal);
    assert_eq!(fs::read(backup.tree.join("log/hello.jsonl")).unwrap(), log);
    // A continuation of the same history.
    backup.server.publish("/artefacts/hello/3.0.0/f", "x");
    backup.update();

    fs::remove_file(backup.tree.join("artefacts/hello/1.2.0/extra")).unwrap();
    let restored = tempfile::tempdir().unwrap();
    import(&backup.tree, restored.path(), 1)
        .says("failed to import hello: see the reasons above")
        .says("skipped hello: ")
        .says("extra\" is not in the export");
    let restored = Server::start(restored.path());
    assert_eq!(restored.get("/artefacts/other/0.1.0/other.bin").status, 200);
}
