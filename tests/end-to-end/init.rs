//! The init: forwarding, reaping, drain, grace.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use platformer_tests::binaries;
use platformer_tests::run::{self, Running, eventually};

fn init(options: &[&str], command: &[&str]) -> Running {
    let probe = binaries::probe();
    let mut arguments = vec!["init"];
    arguments.extend(options);
    arguments.extend(["--", probe.to_str().expect("a path")]);
    arguments.extend(command);
    run::spawn(
        &binaries::bootstrap(),
        &arguments,
        &[("PATH".into(), "/usr/bin:/bin".into())],
    )
}

/// Every signal that can be sent, handled and is not the init's own business: SIGCHLD tells of
/// deaths, SIGTERM is forwarded as the stop signal, and 32 to 34 belong to the C library.
fn forwarded() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| {
        !matches!(*signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGCHLD)
            && !(32..=34).contains(signal)
    })
}

#[test]
fn every_signal_is_forwarded() {
    let count = forwarded().count();
    let running = init(&[], &["signals", &count.to_string()]);
    running.wait_for_stdout("ready");
    for signal in forwarded() {
        running.signal(signal);
        running.wait_for_stdout(&format!("signal {signal}"));
    }
    running.wait().expect(0);
}

#[test]
fn the_stop_signal_takes_the_place_of_term() {
    let running = init(&["--stop-signal=QUIT"], &["signals", "1"]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGTERM);
    running.wait_for_stdout(&format!("signal {}", libc::SIGQUIT));
    running.wait().expect(0);
}

#[test]
fn the_drain_passes_before_the_stop_signal_and_a_second_term_ends_it() {
    let running = init(&["--drain=700ms"], &["stop-on", "15"]);
    running.wait_for_stdout("ready");
    let begin = Instant::now();
    running.signal(libc::SIGTERM);
    running.wait().expect(0);
    assert!(begin.elapsed() >= Duration::from_millis(700));

    let running = init(&["--drain=10m"], &["stop-on", "15"]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGTERM);
    eventually("it drains", || comm(running.pid()) == "draining");
    running.signal(libc::SIGTERM);
    running.wait().expect(0);
}

fn comm(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[test]
fn after_the_grace_everything_left_is_killed() {
    let running = init(&["--grace=300ms"], &["stubborn"]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGTERM);
    let ended = running.wait();
    ended.expect(137).says("the grace period is over");
}

fn is_alive(pid: &str) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

#[test]
fn what_an_ended_app_leaves_behind_is_killed_and_its_own_code_is_returned() {
    let running = init(&["--grace=300ms"], &["leave-behind"]);
    let line = running.wait_for_stdout("ready");
    let pid = line
        .strip_prefix("ready ")
        .expect("a process id")
        .to_owned();
    running.wait().expect(7).says("left behind");
    assert!(
        !is_alive(&pid),
        "{pid} ignores TERM, and is gone all the same"
    );
}

#[test]
fn leftovers_can_be_left() {
    let running = init(&["--leftovers=leave"], &["leave-behind"]);
    let line = running.wait_for_stdout("ready");
    let pid = line
        .strip_prefix("ready ")
        .expect("a process id")
        .to_owned();
    running.wait().expect(7);
    assert!(is_alive(&pid));
    run::kill(pid.parse().expect("a number"), libc::SIGKILL);
}

#[test]
fn a_thousand_orphans_leave_no_zombie() {
    let running = init(&[], &["orphans", "1000"]);
    running.wait_for_stdout("ready");
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", running.pid());
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .split_whitespace()
            .count()
    };
    eventually("only the probe is left", || children() == 1);
    running.wait().expect(0);
}

#[test]
fn a_signal_goes_to_whom_the_scope_says() {
    // sh starts two probes in its own group; each ends on the signal.
    let probe = binaries::probe();
    let script = format!(
        "{0} signals 1 & {0} signals 1 & wait; wait",
        probe.display()
    );
    for scope in ["group", "all"] {
        let running = run::spawn(
            &binaries::bootstrap(),
            &[
                "init",
                &format!("--signal-scope={scope}"),
                "--",
                "sh",
                "-c",
                &format!("trap '' USR1; {script}"),
            ],
            &[("PATH".into(), "/usr/bin:/bin".into())],
        );
        running.wait_for_stdout("ready");
        running.wait_for_stdout("ready");
        running.signal(libc::SIGUSR1);
        running.wait_for_stdout("signal 10");
        running.wait_for_stdout("signal 10");
        running.wait().expect(0);
    }
}

#[test]
fn an_inherited_mask_and_ignored_signals_are_passed_on() {
    // The shell ignores USR1, as nohup does with HUP; the mask is whatever the shell gives: none.
    let command = format!(
        "trap '' USR1 INT; exec {} init -- {} show",
        binaries::bootstrap().display(),
        binaries::probe().display()
    );
    let ended = run::spawn("/bin/sh".as_ref(), &["-c", &command], &[]).wait();
    ended.expect(0);
    let ignored = ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"))
        .expect("a line");
    let ignored = u64::from_str_radix(ignored, 16).expect("a mask");
    for signal in [libc::SIGUSR1, libc::SIGINT] {
        assert_ne!(ignored & (1 << (signal - 1)), 0, "{signal} stays ignored");
    }
}
