//! Every signal at every stage, against the table in docs/signals.md.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::process::Command;

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::binaries;
use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::{self, Running, eventually};
use platformer_tests::skip::skip;

/// All signals except those that a process cannot handle, and 32 to 34, which the C library reserves.
fn all_signals() -> BTreeSet<i32> {
    (1..=64)
        .filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
        .filter(|signal| !(32..=34).contains(signal))
        .collect()
}

const ENDS: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
/// These signals end a start unless bootstrap is PID 1. For BUS and SEGV, it takes two.
const FATAL: [i32; 9] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];
const STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

fn state(pid: i32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.unwrap_or('X')
}

/// Asserts that signals end a start at a stage as the table says. `at_stage` starts a process that stays at the stage.
/// With `is_pid_1`, it returns the parent of the process, in the outer namespace.
fn check_signals(stage: &str, is_pid_1: bool, at_stage: &dyn Fn() -> Running) {
    let pid_of = |running: &Running| {
        if is_pid_1 {
            child_of(running.pid())
        } else {
            running.pid()
        }
    };
    let no_effect: Vec<i32> = all_signals()
        .into_iter()
        .filter(|signal| !ENDS.contains(signal))
        .filter(|signal| is_pid_1 || !(FATAL.contains(signal) || STOPS.contains(signal)))
        .collect();
    let running = at_stage();
    let pid = pid_of(&running);
    for signal in &no_effect {
        run::kill(pid, *signal);
        assert!(
            !['X', 'Z', 'T'].contains(&state(pid)),
            "{stage}: {signal} has an effect"
        );
    }
    if !is_pid_1 {
        for signal in STOPS {
            run::kill(pid, signal);
            eventually("the process stops", || state(pid) == 'T');
            run::kill(pid, libc::SIGCONT);
            eventually("the process continues", || state(pid) != 'T');
        }
    }
    run::kill(pid, libc::SIGTERM);
    running
        .wait()
        .expect(143)
        .says("before the app was started");
    for signal in ENDS {
        let running = at_stage();
        run::kill(pid_of(&running), signal);
        let ended = running.wait();
        assert_eq!(ended.code, 128 + signal, "{stage}: {}", ended.stderr);
    }
    if is_pid_1 {
        return;
    }
    for signal in FATAL {
        let running = at_stage();
        running.signal(signal);
        if [libc::SIGBUS, libc::SIGSEGV].contains(&signal) {
            // bootstrap treats the first signal as a fault. Repeat it, because pending signals of a kind merge.
            eventually("the process exits", || {
                let _ = Command::new("kill")
                    .arg(format!("-{signal}"))
                    .arg(running.pid().to_string())
                    .output();
                ['X', 'Z'].contains(&state(running.pid()))
            });
        }
        let ended = running.wait();
        assert_eq!(ended.code, 128 + signal, "{stage}: {}", ended.stderr);
    }
}

fn wait_for_request(running: &Running, mut has_requested: impl FnMut() -> bool) {
    eventually("bootstrap sends a request", || {
        let ended = ['X', 'Z'].contains(&state(running.pid()));
        assert!(!ended, "{}", running.stderr_so_far());
        has_requested()
    });
}

fn child_of(pid: i32) -> i32 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let mut child = None;
    eventually("the process has a child", || {
        let children = fs::read_to_string(&path).unwrap_or_default();
        child = children
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        child.is_some()
    });
    child.unwrap()
}

fn in_back_off(prefix: &[&str]) -> Running {
    let bootstrap = Bootstrap::with(&[APP, "127.0.0.1:1"]).env("BOOTSTRAP_DEADLINE", "5m");
    let running = bootstrap.spawn_under(prefix);
    running.wait_for_stderr("attempt 2");
    running
}

#[test]
fn signals_end_a_back_off() {
    check_signals("back-off", false, &|| in_back_off(&[]));
}

#[test]
fn signals_end_a_back_off_as_pid_1() {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc"];
    if !succeeds(&unshare) {
        skip("a PID namespace cannot be created (run as root)");
    }
    check_signals("back-off as PID 1", true, &|| in_back_off(&unshare));
}

fn succeeds(prefix: &[&str]) -> bool {
    Command::new(prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The name server never answers.
#[test]
fn signals_end_a_name_resolution() {
    let Ok(_silent) = UdpSocket::bind("127.77.0.1:53") else {
        skip("port 53 of 127.77.0.1 cannot be bound (free the port, and run as root)");
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    fs::write(&file, "nameserver 127.77.0.1\n").unwrap();
    let mount = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$@\"",
        file.display()
    );
    let prefix = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
    if !succeeds(&prefix) {
        skip("a mount namespace cannot be created (run as root)");
    }
    check_signals("resolve", false, &|| {
        let bootstrap =
            Bootstrap::with(&[APP, "repository.invalid"]).env("BOOTSTRAP_DEADLINE", "5m");
        let running = bootstrap.spawn_under(&prefix);
        let is_bootstrap = || {
            let name = fs::read_to_string(format!("/proc/{}/comm", running.pid()));
            name.is_ok_and(|name| name.starts_with("bootstrap"))
        };
        eventually("the process is bootstrap", is_bootstrap);
        // bootstrap resolves names in a second thread.
        let threads = || {
            let tasks = fs::read_dir(format!("/proc/{}/task", running.pid()));
            tasks.map_or(0, Iterator::count)
        };
        eventually("bootstrap resolves the name", || threads() > 1);
        running
    });
}

#[test]
fn signals_end_requests_and_downloads() {
    let release = Mock::start();
    release.always(RELEASE, Reply::ok("x".repeat(100)).stalled_after(10));
    check_signals("release", false, &|| {
        let before = release.requests(RELEASE).len();
        let running = Bootstrap::of(&release)
            .env("BOOTSTRAP_DEADLINE", "5m")
            .spawn_under(&[]);
        wait_for_request(&running, || release.requests(RELEASE).len() > before);
        running
    });
    let download = Mock::start();
    let app = App::probe("show");
    app.announce(&download);
    download.always(&app.path(), app.file_reply().stalled_after(5));
    check_signals("download", false, &|| {
        let before = download.requests(&app.path()).len();
        let running = Bootstrap::of(&download)
            .env("BOOTSTRAP_DEADLINE", "5m")
            .spawn_under(&[]);
        wait_for_request(&running, || download.requests(&app.path()).len() > before);
        running
    });
}

/// bootstrap unpacks the first half of an archive, and the second half does not arrive.
#[test]
fn signals_end_unpacking() {
    let files = (0..2000).map(|number| Entry::file(format!("f{number}"), "x".repeat(100)));
    let app = App::new("hello-1.0.0.tar.gz", gzip(&Tar::new(files).finish()));
    let mock = Mock::start();
    app.announce(&mock);
    mock.always(
        &app.path(),
        app.file_reply().stalled_after(app.artefact.len() / 2),
    );
    check_signals("unpack", false, &|| {
        let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_DEADLINE", "5m");
        let running = bootstrap.spawn_under(&[]);
        let unpacked = || {
            let staging = fs::read_dir(bootstrap.dir())
                .into_iter()
                .flatten()
                .flatten();
            staging
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(".staging-"))
                .any(|entry| {
                    fs::read_dir(entry.path()).is_ok_and(|mut files| files.next().is_some())
                })
        };
        eventually("bootstrap unpacks", unpacked);
        running
    });
}

fn app_under(prefix: &[&str], options: &[&str], count: usize) -> Running {
    let probe = binaries::probe();
    let bootstrap = binaries::bootstrap();
    let mut command = prefix.to_vec();
    command.extend([bootstrap.to_str().unwrap(), "init"]);
    command.extend(options);
    let count = count.to_string();
    command.extend(["--", probe.to_str().unwrap(), "signals", &count]);
    let running = run::spawn(
        command[0].as_ref(),
        &command[1..],
        &[("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
    );
    running.wait_for_stdout("ready");
    running
}

/// Asserts that the init forwards every signal except SIGCHLD.
fn check_forwarding(stage: &str, is_pid_1: bool, prefix: &[&str], drain: bool) {
    let forwarded: Vec<i32> = all_signals()
        .into_iter()
        .filter(|signal| *signal != libc::SIGCHLD && *signal != libc::SIGTERM)
        .collect();
    let options: &[&str] = if drain { &["--drain=5m"] } else { &[] };
    let running = app_under(prefix, options, forwarded.len() + 1);
    let pid = if is_pid_1 {
        child_of(running.pid())
    } else {
        running.pid()
    };
    if drain {
        run::kill(pid, libc::SIGTERM);
        let draining = || {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "draining\n")
        };
        eventually("the init drains", draining);
    }
    run::kill(pid, libc::SIGCHLD);
    for signal in forwarded {
        run::kill(pid, signal);
        let line = running.wait_for_stdout("signal ");
        assert_eq!(line, format!("signal {signal}"), "{stage}");
    }
    run::kill(pid, libc::SIGTERM);
    running.wait_for_stdout(&format!("signal {}", libc::SIGTERM));
    running.wait().expect(0);
}

#[test]
fn signals_are_forwarded_to_a_running_app_and_during_the_drain() {
    for drain in [false, true] {
        check_forwarding("run", false, &[], drain);
    }
}

#[test]
fn signals_are_forwarded_to_a_running_app_and_during_the_drain_as_pid_1() {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc"];
    if !succeeds(&unshare) {
        skip("a PID namespace cannot be created (run as root)");
    }
    for drain in [false, true] {
        check_forwarding("run as PID 1", true, &unshare, drain);
    }
}
