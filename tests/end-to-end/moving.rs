//! Export and import: backup, restore, from a disk to S3 and back, and from the original layout.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::binaries;
use platformer_tests::fixture::digest;
use platformer_tests::run::{self, Ended};
use platformer_tests::s3::S3;
use platformer_tests::server::Server;

type Environment = Vec<(OsString, OsString)>;

fn on_disk(storage: &Path) -> Environment {
    let location = format!("file://{}", storage.display());
    vec![("REPOSITORY_STORAGE".into(), location.into())]
}

fn command(environment: &Environment, arguments: &[&str], code: i32) -> Ended {
    let ended = run::spawn(&binaries::repository(), arguments, environment).wait();
    ended.expect(code);
    ended
}

fn archive(content: &str) -> Vec<u8> {
    gzip(&Tar::new([Entry::file("run", content).mode(0o755)]).finish())
}

/// Something of everything.
fn fill(server: &Server) {
    for version in ["1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1"] {
        let path = format!("/artefacts/hello/{version}/hello-{version}.tar.gz");
        server.publish(&path, archive(version));
        let extra = format!("/artefacts/hello/{version}/extra");
        server.publish(&extra, version.repeat(20_000));
        let config = format!("STARTUP_COMMAND=./run\nVERSION={version}\n");
        server.publish("/config/hello/hello.config", config);
        server.publish("/channels/hello/stable", version);
    }
    server.publish("/config/_default/_default.config", "REGION=here\n");
    server.publish("/config/hello/production.config", "LEVEL=warn\n");
    server.publish("/channels/hello/stable", "1.2.0");
    server.publish("/channels/hello/next", "2.0.0-rc.1");
    let yank = server.put("/artefacts/hello/1.1.0/yanked", "true");
    assert_eq!(yank.status, 204);
    server.publish("/retention/hello", "keep=100");
    server.publish("/artefacts/other/0.1.0/other.bin", "y".repeat(70_000));
}

/// What can be seen of it.
fn seen(server: &Server) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/artefacts/",
        "/artefacts/hello/",
        "/artefacts/other/",
        "/releases/hello/",
        "/channels/hello/stable/history",
        "/config/hello/?environment=production",
        "/releases/hello/stable?environment=production",
        "/releases/hello/r2",
        "/releases/hello/latest",
        "/retention/hello",
        "/config/hello/hello.config?generation=2",
        "/artefacts/hello/1.0.0/",
    ]
    .map(str::to_owned)
    .into();
    for version in ["1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1"] {
        paths.push(format!(
            "/artefacts/hello/{version}/hello-{version}.tar.gz.sha256"
        ));
        paths.push(format!("/artefacts/hello/{version}/hello-{version}.tar.gz"));
    }
    paths
        .iter()
        .map(|path| {
            let answer = server.get(path);
            format!(
                "{path} {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            )
        })
        .collect()
}

#[test]
fn everything_moves_from_a_disk_to_s3_and_back() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let purge = server.request("DELETE", "/artefacts/hello/1.0.0?purge=true", &[], b"");
    assert_eq!(purge.status, 204, "{}", purge.text());
    let before = seen(&server);
    let trees = tempfile::tempdir().unwrap();
    let tree = |name: &str| trees.path().join(name).display().to_string();
    // A server may be running beside.
    let exported = command(&on_disk(storage.path()), &["export", &tree("one")], 0);
    assert!(exported.stdout.contains("hello: "), "{}", exported.stdout);
    let again = command(&on_disk(storage.path()), &["export", &tree("one")], 0);
    assert!(again.stdout.contains("0 of them new"), "{}", again.stdout);

    let moto = S3::moto("moving::everything_moves_from_a_disk_to_s3_and_back");
    let back = tempfile::tempdir().unwrap();
    match &moto {
        None => {
            command(&on_disk(back.path()), &["import", &tree("one")], 0);
        }
        Some(store) => {
            command(&store.environment("moved"), &["import", &tree("one")], 0);
            let moved = Server::start_on(store, "moved", &[]);
            assert_eq!(seen(&moved), before);
            command(&store.environment("moved"), &["export", &tree("two")], 0);
            command(&on_disk(back.path()), &["import", &tree("two")], 0);
        }
    }
    let twice = command(&on_disk(back.path()), &["import", &tree("one")], 0);
    assert!(
        twice.stdout.contains("hello") && !twice.stdout.contains("hello: 1 "),
        "{}",
        twice.stdout
    );
    assert!(
        twice
            .stdout
            .lines()
            .all(|line| line.ends_with(" 0 of them new")),
        "{}",
        twice.stdout
    );
    let restored = Server::start(back.path());
    assert_eq!(seen(&restored), before);
    restored.publish("/channels/hello/stable", "r3");
    restored.stop().expect(0);
    command(&on_disk(back.path()), &["check"], 0);
    // Two histories are not mixed.
    let (other, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "another");
    let refused = command(&on_disk(other.path()), &["import", &tree("one")], 1);
    refused.says("hello has another history in this store from entry 1 on");
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "another");
}

#[test]
fn an_export_that_was_damaged_is_refused_and_a_cut_one_taken_up() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let trees = tempfile::tempdir().unwrap();
    let tree = trees.path().join("tree");
    command(
        &on_disk(storage.path()),
        &["export", tree.to_str().unwrap()],
        0,
    );
    let artefact = tree.join("artefacts/hello/1.2.0/hello-1.2.0.tar.gz");
    let bytes = fs::read(&artefact).unwrap();
    fs::write(&artefact, "damaged").unwrap();
    let target = tempfile::tempdir().unwrap();
    command(
        &on_disk(target.path()),
        &["import", tree.to_str().unwrap()],
        1,
    )
    .says("is not what was exported: expected sha256:");
    fs::write(&artefact, bytes).unwrap();
    command(
        &on_disk(target.path()),
        &["import", tree.to_str().unwrap()],
        0,
    );
    assert_eq!(seen(&Server::start(target.path())), seen(&server));
    let empty = trees.path().join("empty");
    fs::create_dir(&empty).unwrap();
    command(
        &on_disk(target.path()),
        &["import", empty.to_str().unwrap()],
        1,
    )
    .says("is neither an export");
    command(
        &on_disk(&trees.path().join("nowhere")),
        &["export", tree.to_str().unwrap()],
        1,
    )
    .says("holds no repository");
}

/// Any static server can serve it.
#[test]
fn bootstrap_starts_from_an_export_on_a_plain_file_server() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let tree = tempfile::tempdir().unwrap();
    command(
        &on_disk(storage.path()),
        &["export", tree.path().to_str().unwrap()],
        0,
    );
    let mut python = Command::new("python3");
    python
        .args([
            "-u",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "0",
            "--directory",
        ])
        .arg(tree.path());
    let files = run::spawn_command(python.stderr(Stdio::piped()));
    let line = files.wait_for_stdout("Serving HTTP on");
    let port = line
        .split_whitespace()
        .skip_while(|word| *word != "port")
        .nth(1)
        .unwrap();
    for (reference, version) in [
        ("hello", "1.2.0"),
        ("hello@stable", "1.2.0"),
        ("hello@r1", "1.0.0"),
        ("hello@next", "2.0.0-rc.1"),
        ("hello@1.0.0", "1.0.0"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let environment = [
            ("BOOTSTRAP_DIR".into(), home.path().into()),
            ("BOOTSTRAP_ENVIRONMENT".into(), "production".into()),
        ];
        let repository = format!("127.0.0.1:{port}");
        let fetched = run::spawn(
            &binaries::bootstrap(),
            &["fetch", reference, &repository],
            &environment,
        )
        .wait();
        fetched.expect(0);
        let run = Path::new(fetched.stdout.trim()).join("run");
        assert_eq!(fs::read_to_string(run).unwrap(), version, "{reference}");
    }
}

#[test]
fn the_original_docroot_is_taken_over() {
    let docroot = tempfile::tempdir().unwrap();
    let at = |path: &str| docroot.path().join(path);
    for directory in ["files/hello", "config/hello", "config/_default"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    let bytes = archive("original");
    fs::write(at("files/hello/hello.tgz"), &bytes).unwrap();
    fs::write(
        at("files/hello/hello.tgz.sha256"),
        digest(&bytes).line("hello.tgz"),
    )
    .unwrap();
    fs::write(at("config/hello/hello.config"), "STARTUP_COMMAND=./run\n").unwrap();
    fs::write(at("config/hello/production.config"), "A=1\n").unwrap();
    fs::write(at("config/_default/_default.config"), "B=2\n").unwrap();
    let storage = tempfile::tempdir().unwrap();
    let root = docroot.path().to_str().unwrap();
    let imported = command(&on_disk(storage.path()), &["import", root], 0);
    assert!(
        imported.stdout.contains("2 layers of config"),
        "{}",
        imported.stdout
    );
    let server = Server::start(storage.path());
    assert!(server.get("/files/hello/hello.tgz").body == bytes);
    let merged = server.get("/config/hello/?environment=production").text();
    assert_eq!(merged, "A=1\nB=2\nSTARTUP_COMMAND=./run\n");
    let entries = || {
        fs::read_dir(storage.path().join("apps/hello/log"))
            .unwrap()
            .count()
    };
    let before = entries();
    command(&on_disk(storage.path()), &["import", root], 0);
    assert_eq!(entries(), before, "the same again changes nothing");
    // What sh would execute is no config.
    fs::write(at("config/hello/hello.config"), "A=$(id)\n").unwrap();
    command(&on_disk(storage.path()), &["import", root], 1).says("hello.config");
    fs::write(at("config/hello/hello.config"), "A=1\n").unwrap();
    fs::write(
        at("files/hello/hello.tgz.sha256"),
        digest(b"other").line("hello.tgz"),
    )
    .unwrap();
    command(&on_disk(storage.path()), &["import", root], 1).says("is not what was exported");
}

/// What is purged is gone from the next backup, too; and what is damaged does not keep the rest from it.
#[test]
fn an_export_follows_purges_and_goes_on_past_damage() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let trees = tempfile::tempdir().unwrap();
    let tree = trees.path().join("tree");
    let target = tree.to_str().unwrap();
    command(&on_disk(storage.path()), &["export", target], 0);
    let purged = tree.join("artefacts/hello/1.0.0");
    assert!(purged.is_dir() && tree.join("releases/hello/r1").is_file());
    let purge = server.request("DELETE", "/artefacts/hello/1.0.0?purge=true", &[], b"");
    assert_eq!(purge.status, 204, "{}", purge.text());
    // Damage in the export is mended by the next one, and an interrupted one leaves nothing behind.
    let other = tree.join("artefacts/other/0.1.0/other.bin");
    fs::write(&other, "z".repeat(70_000)).unwrap();
    fs::create_dir(tree.join(".unfinished")).unwrap();
    fs::write(tree.join(".unfinished/x"), "of a killed one").unwrap();
    command(&on_disk(storage.path()), &["export", target], 0);
    assert!(!purged.exists() && !tree.join("releases/hello/r1").exists());
    assert_eq!(fs::read_to_string(&other).unwrap(), "y".repeat(70_000));
    assert!(!tree.join(".unfinished").exists());

    let record = server.get("/artefacts/hello/1.1.0/").text();
    assert!(record.contains("extra"), "{record}");
    let blob = fs::read_dir(storage.path().join("blobs"))
        .unwrap()
        .flatten()
        .find(|entry| fs::read(entry.path()).unwrap() == "1.1.0".repeat(20_000).as_bytes())
        .unwrap();
    fs::write(blob.path(), "damaged").unwrap();
    let fresh = trees.path().join("fresh");
    let exported = command(
        &on_disk(storage.path()),
        &["export", fresh.to_str().unwrap()],
        1,
    );
    exported
        .says("1 artefacts are damaged or missing")
        .says("hello 1.1.0 extra is left out: expected sha256:");
    assert!(fresh.join("artefacts/other/0.1.0/other.bin").is_file());
    assert!(fresh.join("log/hello.jsonl").is_file());
    assert!(!fresh.join("artefacts/hello/1.1.0/extra").exists());
}

/// Nothing is taken over of a log that is not whole, and nobody waits for what never comes.
#[test]
fn a_log_that_is_not_whole_is_refused() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let trees = tempfile::tempdir().unwrap();
    let tree = trees.path().join("tree");
    let source = tree.to_str().unwrap();
    command(&on_disk(storage.path()), &["export", source], 0);
    let log = tree.join("log/hello.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let cut = lines[..lines.len() - 3].join("\n") + "\n";
    let without_one = [&lines[..2], &lines[3..]].concat().join("\n");
    let changed = text.replace("1.2.0", "1.2.7");
    let unfinished = lines[..lines.len() - 1].join("\n") + "\n";
    let twice = format!("{text}{text}");
    for damaged in [cut, without_one, changed, unfinished, twice, String::new()] {
        fs::write(&log, damaged).unwrap();
        let target = tempfile::tempdir().unwrap();
        command(&on_disk(target.path()), &["import", source], 1).says("hello.jsonl");
        let refused = Server::start(target.path());
        assert_eq!(refused.get("/artefacts/hello/").status, 404);
    }
    fs::write(&log, text).unwrap();
    let artefact = tree.join("artefacts/hello/1.2.0/extra");
    fs::remove_file(&artefact).unwrap();
    let made = Command::new("mkfifo").arg(&artefact).status();
    assert!(made.unwrap().success());
    let target = tempfile::tempdir().unwrap();
    command(&on_disk(target.path()), &["import", source], 1).says("it is not a regular file");
}

/// A backup is not written over by another history, and what cannot be taken over keeps nothing else from it.
#[test]
fn a_backup_is_kept_from_others_and_from_losses() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let trees = tempfile::tempdir().unwrap();
    let tree = trees.path().join("tree");
    let target = tree.to_str().unwrap();
    command(&on_disk(storage.path()), &["export", target], 0);
    let log = fs::read(tree.join("log/hello.jsonl")).unwrap();
    let (other, stranger) = Server::fresh();
    stranger.publish("/config/hello/hello.config", "A=1\n");
    stranger.publish("/artefacts/other/0.1.0/other.bin", "z");
    stranger.publish("/config/_default/_default.config", "A=1\n");
    command(&on_disk(other.path()), &["export", target], 1).says("export into an empty directory");
    let (short, few) = Server::fresh();
    few.publish("/artefacts/other/0.1.0/other.bin", "z");
    command(&on_disk(short.path()), &["export", target], 1).says("export into an empty directory");
    assert_eq!(fs::read(tree.join("log/hello.jsonl")).unwrap(), log);
    // The same history, longer.
    server.publish("/artefacts/hello/3.0.0/f", "x");
    command(&on_disk(storage.path()), &["export", target], 0);

    fs::remove_file(tree.join("artefacts/hello/1.2.0/extra")).unwrap();
    let restored = tempfile::tempdir().unwrap();
    let imported = command(&on_disk(restored.path()), &["import", target], 1);
    imported
        .says("failed to import hello")
        .says("hello is not imported: ")
        .says("extra\" is not in the export");
    let restored = Server::start(restored.path());
    assert_eq!(restored.get("/artefacts/other/0.1.0/other.bin").status, 200);
}
