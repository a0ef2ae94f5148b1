//! Export and import: from a disk to S3 and back, to a plain file server, and from the layout of the original design.

mod backup;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::binaries;
use platformer_tests::fixture::digest;
use platformer_tests::run::{self, Exit};
use platformer_tests::s3::S3;
use platformer_tests::server::Server;

type Environment = Vec<(OsString, OsString)>;

fn on_disk(storage: &Path) -> Environment {
    let location = format!("file://{}", storage.display());
    vec![("REPOSITORY_STORAGE".into(), location.into())]
}

fn command(environment: &Environment, arguments: &[&str], code: i32) -> Exit {
    let ended = run::spawn(&binaries::repository(), arguments, environment).wait();
    ended.expect(code);
    ended
}

fn archive(content: &str) -> Vec<u8> {
    gzip(&Tar::new([Entry::file("run", content).mode(0o755)]).finish())
}

/// Publishes every kind of object.
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

/// Returns the responses for all objects.
fn contents(server: &Server) -> Vec<String> {
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
fn all_objects_move_from_a_disk_to_s3_and_back() {
    let (storage, server) = Server::fresh();
    fill(&server);
    let purge = server.request("DELETE", "/artefacts/hello/1.0.0?purge=true", &[], b"");
    assert_eq!(purge.status, 204, "{}", purge.text());
    let before = contents(&server);
    let trees = tempfile::tempdir().unwrap();
    let tree = |name: &str| trees.path().join(name).display().to_string();
    // The server may run during an export.
    let exported = command(&on_disk(storage.path()), &["export", &tree("one")], 0);
    assert!(exported.stdout.contains("hello: "), "{}", exported.stdout);
    let repeated = command(&on_disk(storage.path()), &["export", &tree("one")], 0);
    assert!(
        repeated.stdout.contains("0 of them new"),
        "{}",
        repeated.stdout
    );

    let store = S3::moto();
    let back = tempfile::tempdir().unwrap();
    command(&store.environment("moved"), &["import", &tree("one")], 0);
    let moved = Server::start_on(&store, "moved", &[]);
    assert_eq!(contents(&moved), before);
    command(&store.environment("moved"), &["export", &tree("two")], 0);
    command(&on_disk(back.path()), &["import", &tree("two")], 0);
    let repeated = command(&on_disk(back.path()), &["import", &tree("one")], 0);
    assert!(
        repeated.stdout.contains("hello") && !repeated.stdout.contains("hello: 1 "),
        "{}",
        repeated.stdout
    );
    assert!(
        repeated
            .stdout
            .lines()
            .all(|line| line.ends_with(" 0 of them new")),
        "{}",
        repeated.stdout
    );
    let restored = Server::start(back.path());
    assert_eq!(contents(&restored), before);
    restored.publish("/channels/hello/stable", "r3");
    restored.stop().expect(0);
    command(&on_disk(back.path()), &["check"], 0);
    // An import never mixes two histories.
    let (other, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/f", "another");
    let refused = command(&on_disk(other.path()), &["import", &tree("one")], 1);
    refused.says("hello has another history in this store from entry 1 on");
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "another");
}

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
fn the_original_docroot_is_imported() {
    let docroot = tempfile::tempdir().unwrap();
    let file = |path: &str| docroot.path().join(path);
    for directory in ["files/hello", "config/hello", "config/_default"] {
        fs::create_dir_all(file(directory)).unwrap();
    }
    let bytes = archive("original");
    fs::write(file("files/hello/hello.tgz"), &bytes).unwrap();
    fs::write(
        file("files/hello/hello.tgz.sha256"),
        digest(&bytes).line("hello.tgz"),
    )
    .unwrap();
    fs::write(file("config/hello/hello.config"), "STARTUP_COMMAND=./run\n").unwrap();
    fs::write(file("config/hello/production.config"), "A=1\n").unwrap();
    fs::write(file("config/_default/_default.config"), "B=2\n").unwrap();
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
    assert_eq!(entries(), before, "importing again changes nothing");
    // A config that sh would execute is refused.
    fs::write(file("config/hello/hello.config"), "A=$(id)\n").unwrap();
    command(&on_disk(storage.path()), &["import", root], 1).says("hello.config");
    fs::write(file("config/hello/hello.config"), "A=1\n").unwrap();
    fs::write(
        file("files/hello/hello.tgz.sha256"),
        digest(b"other").line("hello.tgz"),
    )
    .unwrap();
    command(&on_disk(storage.path()), &["import", root], 1).says("differs from what was exported");
}
