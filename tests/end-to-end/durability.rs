//! What was acknowledged is there: over errors at every call, kills at every call, and power cuts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use platformer_tests::binaries;
use platformer_tests::dice::Dice;
use platformer_tests::http;
use platformer_tests::power::Disk;
use platformer_tests::run::{self, eventually};
use platformer_tests::server::Server;
use platformer_tests::skip::Selection;
use platformer_tests::strace::{self, Injection, Strace};

/// musl uses the older call where there is one.
const OPEN: &str = if cfg!(target_arch = "x86_64") {
    "open"
} else {
    "openat"
};

/// The calls by which the store is changed and read.
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
fn an_error_at_any_call_is_never_acknowledged() {
    strace::require();
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/other/1.0.0/f", "untouched");
    let mut injected = BTreeMap::new();
    for call in CALLS {
        for error in ["EIO", "ENOSPC", "EDQUOT", "EMFILE"] {
            for when in 1..20 {
                // A new app each time: its directories must be made, too.
                let path = format!("/artefacts/{call}-{when}-{}/1.0.0/f", error.to_lowercase());
                let tracer =
                    Strace::attach(server.process().pid(), call, Injection::Error(error), when);
                let status = server.put(&path, large()).status;
                let untouched = server.get("/artefacts/other/1.0.0/f");
                let happened = tracer.detach();
                // A file that is left over is swept at the next start.
                assert!(
                    !happened || call == "unlink" || matches!(status, 500 | 507),
                    "{status} though {call} {when} failed with {error}"
                );
                assert!(status != 507 || error != "EIO", "{call} {when} {error}");
                assert!(
                    call == OPEN || untouched.text() == "untouched",
                    "{call} {when} {error}: {}",
                    untouched.text()
                );
                let again = server.put(&path, large());
                assert!(
                    matches!(again.status, 200 | 201),
                    "{call} {when} {error}: {}",
                    again.text()
                );
                assert!(server.get(&path).body == large());
                if !happened {
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

/// A step of the story, and what must hold once it was acknowledged.
struct Step {
    name: &'static str,
    request: fn(&Server) -> Option<u16>,
    holds: fn(&Server) -> bool,
}

fn put(server: &Server, path: &str, body: &[u8]) -> Option<u16> {
    let response = http::try_request(server.address, "PUT", path, &[], body)?;
    Some(response.status)
}

const STEPS: [Step; 4] = [
    Step {
        name: "publish",
        request: |server| put(server, "/artefacts/hello/2.0.0/f", &large()),
        holds: |server| server.get("/artefacts/hello/2.0.0/f").body == large(),
    },
    Step {
        name: "configure",
        request: |server| put(server, "/config/hello/hello.config", b"A=1\n"),
        holds: |server| server.get("/config/hello/hello.config").text() == "A=1\n",
    },
    Step {
        name: "release",
        request: |server| put(server, "/channels/hello/stable", b"2.0.0"),
        holds: |server| server.get("/channels/hello/stable").text() == "r1\n",
    },
    Step {
        name: "purge",
        request: |server| {
            let path = "/artefacts/hello/1.0.0?purge=true";
            Some(http::try_request(server.address, "DELETE", path, &[], b"")?.status)
        },
        holds: |server| server.get("/artefacts/hello/1.0.0/f").status == 410,
    },
];

#[test]
fn a_kill_at_any_call_loses_nothing_that_was_acknowledged() {
    strace::require();
    // Calls are counted for each thread by itself; so they are counted together, and each kind alone.
    let all = CALLS.join(",");
    let sets: Vec<&str> = CALLS.into_iter().chain([all.as_str()]).collect();
    for (at, step) in STEPS.iter().enumerate() {
        let mut kills = 0;
        for calls in &sets {
            kills += (1..60)
                .take_while(|when| is_killed(at, calls, *when))
                .count();
        }
        assert!(kills >= 6, "{}: {kills} kills", step.name);
    }
}

/// Kills the server at a call of a step, and looks at what is left; returns whether it came to that.
fn is_killed(at: usize, calls: &str, when: u32) -> bool {
    let Step {
        name,
        request,
        holds,
    } = &STEPS[at];
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    server.publish("/artefacts/hello/1.0.0/f", "first");
    for before in &STEPS[..at] {
        (before.request)(&server).unwrap();
    }
    let tracer = Strace::attach(server.process().pid(), calls, Injection::Kill, when);
    let acknowledged = request(&server).is_some_and(|status| status < 300);
    tracer.detach();
    let killed = http::try_request(server.address, "GET", "/healthz", &[], b"").is_none();
    server.kill();
    let server = Server::start(storage.path());
    assert!(!acknowledged || holds(&server), "{name} {calls} {when}");
    for before in &STEPS[..at] {
        assert!(
            (before.holds)(&server),
            "{} after {name} {calls} {when}",
            before.name
        );
    }
    if *name != "purge" {
        assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "first");
    }
    nothing_is_partial(&server);
    assert!(
        request(&server).unwrap() < 300,
        "{name} {calls} {when} again"
    );
    assert!(holds(&server), "{name} {calls} {when} again");
    server.stop().expect(0);
    run_check(storage.path());
    killed
}

/// What `gc` would take: two versions by their policy, and blobs that are nobody's.
fn garbage(storage: &Path) {
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
    // Ages count in seconds.
    thread::sleep(Duration::from_millis(1100));
}

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
fn a_kill_at_any_call_of_gc_loses_nothing_that_is_needed() {
    strace::require();
    let full = tempfile::tempdir().unwrap();
    garbage(full.path());
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
            nothing_is_partial(&server);
            server.stop().expect(0);
            assert!(gc(&storage, None), "{calls} {when} again");
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

/// Everything that is listed can be read, whole.
fn nothing_is_partial(server: &Server) {
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

/// A write that is cut short, and then fails: as a disk does that has no room left.
#[test]
fn a_full_disk_is_507_and_loses_nothing() {
    let disk = Disk::new();
    let server = Server::start(&disk.mount_point().join("repository"));
    server.publish("/artefacts/hello/1.0.0/f", "kept");
    let huge = Dice::new(8).noise(200 << 20);
    let mut statuses = Vec::new();
    for version in 1..5 {
        let path = format!("/artefacts/hello/1.{version}.0/f");
        statuses.push(server.put(&path, &huge).status);
    }
    assert_eq!(statuses, [201, 201, 507, 507]);
    assert_eq!(server.get("/artefacts/hello/1.0.0/f").text(), "kept");
    assert_eq!(server.get("/artefacts/hello/1.3.0/f").status, 404);
    server.publish("/artefacts/hello/2.0.0/f", "small");
    let purge = server.request("DELETE", "/artefacts/hello/1.1.0?purge=true", &[], b"");
    assert_eq!(purge.status, 204);
    assert_eq!(server.put("/artefacts/hello/1.3.0/f", &huge).status, 201);
    nothing_is_partial(&server);
    server.stop().expect(0);
}

/// `SOAK_POWER_CUTS` sets how many; by default 40, and 300 in a run of all tests.
#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let cuts: usize = match std::env::var("SOAK_POWER_CUTS") {
        Ok(cuts) => cuts.parse().expect("a number"),
        Err(_) if Selection::is_all() => 300,
        Err(_) => 40,
    };
    let mut total = 0;
    // A new disk now and then: entries stay, and each is a file.
    for series in 0..cuts.div_ceil(CUTS_OF_A_DISK) {
        let mut disk = Disk::new();
        for cut in 0..CUTS_OF_A_DISK.min(cuts - series * CUTS_OF_A_DISK) {
            total += a_cut(&mut disk, cut);
        }
    }
    assert!(total > cuts, "{total} versions over {cuts} cuts");
}

const CUTS_OF_A_DISK: usize = 50;

/// Cuts the power under eight writers; what they were told is there afterwards. Returns how much that was.
fn a_cut(disk: &mut Disk, cut: usize) -> usize {
    let storage = disk.mount_point().join("repository");
    let server = Server::start(&storage);
    let acknowledged = writers_until_the_cut(&server, disk, cut);
    server.kill();
    disk.power_on();
    let server = Server::start(&storage);
    for (path, bytes) in &acknowledged {
        assert!(server.get(path).body == *bytes, "{path} after cut {cut}");
    }
    nothing_is_partial(&server);
    // The next look at everything is short.
    for path in acknowledged.keys() {
        let version = path.rsplit_once('/').unwrap().0;
        let purge = format!("{version}?purge=true");
        assert_eq!(server.request("DELETE", &purge, &[], b"").status, 204);
    }
    server.stop().expect(0);
    acknowledged.len()
}

/// Eight of them publish, until nothing is taken any more; returns what was acknowledged.
fn writers_until_the_cut(server: &Server, disk: &Disk, cut: usize) -> BTreeMap<String, Vec<u8>> {
    let acknowledged = Mutex::new(BTreeMap::new());
    let is_over = AtomicBool::new(false);
    let number = AtomicU64::new(0);
    thread::scope(|scope| {
        for writer in 0..8 {
            let (acknowledged, is_over, number) = (&acknowledged, &is_over, &number);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    let path = format!("/artefacts/app-{}/1.{cut}.{number}/f", writer % 3);
                    let bytes = format!(
                        "{path} {}",
                        "x".repeat(usize::try_from(number % 9 * 1000).unwrap())
                    );
                    match put(server, &path, bytes.as_bytes()) {
                        Some(201) => {
                            acknowledged
                                .lock()
                                .unwrap()
                                .insert(path, bytes.into_bytes());
                        }
                        _ => return,
                    }
                }
            });
        }
        if cut.is_multiple_of(2) {
            thread::sleep(Duration::from_millis(10 + (cut as u64 * 37) % 90));
        } else {
            // However slow the disk is, there is something to lose.
            eventually("some are acknowledged", || {
                acknowledged.lock().unwrap().len() > cut % 8
            });
        }
        disk.cut_power();
        is_over.store(true, Ordering::Relaxed);
    });
    acknowledged.into_inner().unwrap()
}
