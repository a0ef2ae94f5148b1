//! Acknowledged writes survive errors at every system call, kills at every system call, and power cuts.

mod power_cuts;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use platformer_tests::binaries;
use platformer_tests::dice::Dice;
use platformer_tests::http;
use platformer_tests::power::Disk;
use platformer_tests::run;
use platformer_tests::server::Server;
use platformer_tests::strace::{self, Injection, Strace};

/// musl uses the older system call where it exists.
const OPEN: &str = if cfg!(target_arch = "x86_64") {
    "open"
} else {
    "openat"
};

/// The system calls of the store.
const CALLS: [&str; 7] = [
    OPEN,
    "pwrite64",
    "fdatasync",
    "fsync",
    "renameat2",
    "mkdir",
    "unlink",
];

fn large() -> Vec<u8> {
    Dice::new(3).noise(600 << 10)
}

#[test]
fn a_write_with_a_failed_system_call_is_never_acknowledged() {
    strace::require();
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/other/1.0.0/f", "untouched");
    let mut injected = BTreeMap::new();
    for call in CALLS {
        for error in ["EIO", "ENOSPC", "EDQUOT", "EMFILE"] {
            for when in 1..20 {
                // A new app each time, so that the server must create directories, too.
                let path = format!("/artefacts/{call}-{when}-{}/1.0.0/f", error.to_lowercase());
                let tracer =
                    Strace::attach(server.process().pid(), call, Injection::Error(error), when);
                let status = server.put(&path, large()).status;
                let untouched = server.get("/artefacts/other/1.0.0/f");
                let is_injected = tracer.detach();
                // The server deletes leftover files at its next start, so it may ignore a failed unlink.
                assert!(
                    !is_injected || call == "unlink" || matches!(status, 500 | 507),
                    "{status} though {call} {when} failed with {error}"
                );
                assert!(status != 507 || error != "EIO", "{call} {when} {error}");
                assert!(
                    call == OPEN || untouched.text() == "untouched",
                    "{call} {when} {error}: {}",
                    untouched.text()
                );
                let retry = server.put(&path, large());
                assert!(
                    matches!(retry.status, 200 | 201),
                    "{call} {when} {error}: {}",
                    retry.text()
                );
                assert!(server.get(&path).body == large());
                if !is_injected {
                    break;
                }
                *injected.entry(call).or_insert(0) += 1;
            }
        }
    }
    for call in [OPEN, "pwrite64", "fdatasync", "fsync", "renameat2", "mkdir"] {
        assert!(
            injected.get(call).is_some_and(|count| *count >= 4),
            "{call}: {injected:?}"
        );
    }
}

/// A request, and a check of its effect.
struct Step {
    name: &'static str,
    request: fn(&Server) -> Option<u16>,
    is_done: fn(&Server) -> bool,
}

fn put(server: &Server, path: &str, body: &[u8]) -> Option<u16> {
    let response = http::try_request(server.address, "PUT", path, &[], body)?;
    Some(response.status)
}

const STEPS: [Step; 4] = [
    Step {
        name: "publish",
        request: |server| put(server, "/artefacts/hello/2.0.0/f", &large()),
        is_done: |server| server.get("/artefacts/hello/2.0.0/f").body == large(),
    },
    Step {
        name: "configure",
        request: |server| put(server, "/config/hello/hello.config", b"A=1\n"),
        is_done: |server| server.get("/config/hello/hello.config").text() == "A=1\n",
    },
    Step {
        name: "release",
        request: |server| put(server, "/channels/hello/stable", b"2.0.0"),
        is_done: |server| server.get("/channels/hello/stable").text() == "r1\n",
    },
    Step {
        name: "purge",
        request: |server| {
            let path = "/artefacts/hello/1.0.0?purge=true";
            Some(http::try_request(server.address, "DELETE", path, &[], b"")?.status)
        },
        is_done: |server| server.get("/artefacts/hello/1.0.0/f").status == 410,
    },
];

#[test]
fn a_kill_at_any_system_call_loses_no_acknowledged_write() {
    strace::require();
    // strace counts the calls of each thread separately. So trace each call alone, and all calls together.
    let all = CALLS.join(",");
    let sets: Vec<&str> = CALLS.into_iter().chain([all.as_str()]).collect();
    for (index, step) in STEPS.iter().enumerate() {
        let mut kills = 0;
        for calls in &sets {
            kills += (1..60)
                .take_while(|when| kill_during_step(index, calls, *when))
                .count();
        }
        assert!(kills >= 6, "{}: {kills} kills", step.name);
    }
}

/// Kills the server at a system call of a step, and checks what is left. Returns whether the server was killed.
fn kill_during_step(index: usize, calls: &str, when: u32) -> bool {
    let Step {
        name,
        request,
        is_done,
    } = &STEPS[index];
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    server.publish("/artefacts/hello/1.0.0/f", "first");
    for before in &STEPS[..index] {
        (before.request)(&server).unwrap();
    }
    let tracer = Strace::attach(server.process().pid(), calls, Injection::Kill, when);
    let acknowledged = request(&server).is_some_and(|status| status < 300);
    tracer.detach();
    let killed = http::try_request(server.address, "GET", "/healthz", &[], b"").is_none();
    server.kill();
    let server = Server::start(storage.path());
    assert!(!acknowledged || is_done(&server), "{name} {calls} {when}");
    for before in &STEPS[..index] {
        assert!(
            (before.is_done)(&server),
            "{} after {name} {calls} {when}",
            before.name
        );
    }
    if *name != "purge" {
        assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "first");
    }
    assert_nothing_is_partial(&server);
    assert!(
        request(&server).unwrap() < 300,
        "{name} {calls} {when}: the retry failed"
    );
    assert!(is_done(&server), "{name} {calls} {when}: the retry failed");
    server.stop().expect(0);
    run_check(storage.path());
    killed
}

/// Creates garbage for `gc`: two versions beyond the retention policy, and unreferenced blobs.
fn create_garbage(storage: &Path) {
    let server = Server::start(storage);
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        server.publish(&format!("/artefacts/hello/{version}/f"), version);
    }
    server.publish("/channels/hello/stable", "1.1.0");
    server.publish("/retention/hello", "keep=1");
    server.stop().expect(0);
    for old in [
        "0180a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "0180a1b2c3d47e5f8a9b0c1d2e3f4a5c",
    ] {
        std::fs::write(storage.join("blobs").join(old), "garbage").unwrap();
        std::fs::write(storage.join("proofs").join(old), "garbage").unwrap();
    }
    // gc counts ages in whole seconds.
    thread::sleep(Duration::from_millis(1100));
}

/// Runs `gc`, and returns whether it succeeds.
fn gc(storage: &Path, injected: Option<(&str, u32)>) -> bool {
    let location = format!("file://{}", storage.display());
    let environment = [
        ("REPOSITORY_STORAGE".into(), location.into()),
        ("REPOSITORY_UPLOAD_TIMEOUT".into(), "10ms".into()),
        ("REPOSITORY_GC_AGE".into(), "20ms".into()),
        ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
    ];
    let repository = binaries::repository();
    let mut command: Vec<String> = Vec::new();
    if let Some((calls, when)) = injected {
        let inject = format!("inject={calls}:signal=KILL:when={when}");
        let trace = format!("trace={calls}");
        command.extend(["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned));
        command.push(repository.display().to_string());
    }
    command.extend(["gc", "--delete"].map(str::to_owned));
    let program = match injected {
        Some(_) => Path::new("strace"),
        None => &repository,
    };
    run::spawn(program, &command, &environment).wait().code == 0
}

#[test]
fn a_kill_at_any_system_call_of_gc_loses_no_referenced_data() {
    strace::require();
    let full = tempfile::tempdir().unwrap();
    create_garbage(full.path());
    let all = CALLS.join(",");
    let mut kills = 0;
    for calls in CALLS.into_iter().chain([all.as_str()]) {
        for when in 1..60 {
            let directory = tempfile::tempdir().unwrap();
            let storage = directory.path().join("store");
            let mut copy = Command::new("cp");
            let copied = copy.arg("-a").arg(full.path()).arg(&storage).status();
            assert!(copied.unwrap().success());
            if gc(&storage, Some((calls, when))) {
                break;
            }
            kills += 1;
            let server = Server::start(&storage);
            for version in ["1.1.0", "1.3.0"] {
                let path = format!("/artefacts/hello/{version}/f");
                assert_eq!(server.get(&path).text(), version, "{calls} {when}");
            }
            assert_nothing_is_partial(&server);
            server.stop().expect(0);
            assert!(gc(&storage, None), "{calls} {when}: gc failed");
            let server = Server::start(&storage);
            for version in ["1.0.0", "1.2.0"] {
                let path = format!("/artefacts/hello/{version}/f");
                assert_eq!(server.get(&path).status, 410, "{calls} {when}");
            }
            server.stop().expect(0);
            let left = std::fs::read_dir(storage.join("blobs")).unwrap().count();
            assert_eq!(left, 2, "{calls} {when}");
            run_check(&storage);
        }
    }
    assert!(kills >= 10, "{kills} kills");
}

/// Asserts that every listed file is complete.
fn assert_nothing_is_partial(server: &Server) {
    for app in server.get("/artefacts/").json()["apps"].as_array().unwrap() {
        let app = app.as_str().unwrap();
        let versions = server.get(&format!("/artefacts/{app}/")).json();
        for version in versions["versions"].as_array().into_iter().flatten() {
            let version = version["version"].as_str().unwrap();
            let files = server.get(&format!("/artefacts/{app}/{version}/")).json();
            for file in files["files"].as_array().unwrap() {
                let path = format!(
                    "/artefacts/{app}/{version}/{}",
                    file["file"].as_str().unwrap()
                );
                let found = platformer_tests::fixture::digest(&server.get(&path).body);
                assert_eq!(file["sha256"], found.to_string(), "{path}");
            }
        }
    }
}

fn run_check(storage: &Path) {
    let environment = [(
        "REPOSITORY_STORAGE".into(),
        format!("file://{}", storage.display()).into(),
    )];
    run::spawn(&binaries::repository(), &["check"], &environment)
        .wait()
        .expect(0);
}

/// On a full disk, a write is short, and the next one fails.
#[test]
fn a_full_disk_is_507_and_loses_nothing() {
    let disk = Disk::new();
    let server = Server::start(&disk.mount_point().join("repository"));
    server.publish("/artefacts/hello/1.0.0/f", "small");
    let huge = Dice::new(8).noise(200 << 20);
    let mut statuses = Vec::new();
    for version in 1..5 {
        let path = format!("/artefacts/hello/1.{version}.0/f");
        statuses.push(server.put(&path, &huge).status);
    }
    assert_eq!(statuses, [201, 201, 507, 507]);
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "small");
    assert_eq!(server.get("/artefacts/hello/1.3.0/f").status, 404);
    server.publish("/artefacts/hello/2.0.0/f", "small");
    let purge = server.request("DELETE", "/artefacts/hello/1.1.0?purge=true", &[], b"");
    assert_eq!(purge.status, 204);
    assert_eq!(server.put("/artefacts/hello/1.3.0/f", &huge).status, 201);
    assert_nothing_is_partial(&server);
    server.stop().expect(0);
}
