//! The init: signal forwarding, reaping, drain and grace period.

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

/// The signals that the init forwards unchanged. SIGCHLD reports exits, SIGTERM is forwarded as the stop signal, and the
/// C library reserves 32 to 34.
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
fn the_stop_signal_replaces_sigterm() {
    let running = init(&["--stop-signal=QUIT"], &["signals", "1"]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGTERM);
    running.wait_for_stdout(&format!("signal {}", libc::SIGQUIT));
    running.wait().expect(0);
}

#[test]
fn the_drain_precedes_the_stop_signal_and_a_second_sigterm_ends_the_drain() {
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
fn remaining_processes_are_killed_after_the_grace_period() {
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
fn descendants_of_an_exited_app_are_killed_and_its_code_is_returned() {
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
fn descendants_can_be_left_running() {
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

fn children(pid: i32) -> Vec<String> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn ten_thousand_orphans_leave_no_zombie() {
    let running = init(&[], &["orphans", "10000"]);
    running.wait_for_stdout("ready");
    // The probe runs for another second. By then, all orphans must be reaped.
    eventually("only the probe is left", || {
        children(running.pid()).len() == 1
    });
    running.wait().expect(0);
}

/// Many exits share one SIGCHLD, including the exit of the command.
#[test]
fn a_thousand_processes_exit_at_once() {
    for leftovers in ["kill", "leave"] {
        let option = format!("--leftovers={leftovers}");
        init(&[&option], &["deaths", "1000"]).wait().expect(9);
    }
}

#[test]
fn signals_are_rewritten_and_dropped() {
    let running = init(&["--rewrite=15:3,INT:0,10:USR2"], &["signals", "3"]);
    running.wait_for_stdout("ready");
    for (sent, expected) in [(libc::SIGTERM, 3), (libc::SIGUSR1, libc::SIGUSR2)] {
        running.signal(libc::SIGINT);
        running.signal(sent);
        assert_eq!(
            running.wait_for_stdout("signal "),
            format!("signal {expected}")
        );
    }
    running.signal(libc::SIGCONT);
    running.wait().expect(0);
}

#[test]
fn exit_codes_are_remapped() {
    init(&["--remap-exit=143:0"], &["die", "15"])
        .wait()
        .expect(0);
    init(&["--remap-exit=7:8,8:9"], &["exit", "7"])
        .wait()
        .expect(8);
}

#[test]
fn debug_logs_signals_and_exits() {
    let running = init(&["--log=debug"], &["signals", "1"]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGUSR1);
    let ended = running.wait();
    ended
        .expect(0)
        .says("forwarding signal 10 to process")
        .says("ended with 0");
    let running = init(&["--log=error", "--grace=100ms"], &["stubborn"]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGTERM);
    let ended = running.wait();
    ended.expect(137);
    assert_eq!(ended.stderr, "");
}

/// The init treats the exit of its parent as the configured signal.
#[test]
fn the_death_of_the_parent_is_a_signal() {
    let script = format!(
        "{} init --parent-death-signal=USR1 -- {} signals 1 & wait",
        binaries::bootstrap().display(),
        binaries::probe().display()
    );
    let running = run::spawn("/bin/sh".as_ref(), &["-c", &script], &[]);
    running.wait_for_stdout("ready");
    running.signal(libc::SIGKILL);
    running.wait_for_stdout("signal 10");
    running.wait().expect(137);
}

#[test]
fn without_the_subreaper_orphans_get_another_parent() {
    for (option, expected) in [("on", true), ("off", false)] {
        let option = format!("--subreaper={option}");
        let running = init(&[&option, "--leftovers=leave"], &["leave-orphan"]);
        let line = running.wait_for_stdout("ready");
        let orphan = line
            .strip_prefix("ready ")
            .expect("a process id")
            .to_owned();
        let is_ours = || children(running.pid()).contains(&orphan);
        if expected {
            eventually("the init adopts the orphan", is_ours);
        } else {
            let stat = || std::fs::read_to_string(format!("/proc/{orphan}/stat")).unwrap();
            let parent = || {
                stat()
                    .rsplit_once(") ")
                    .unwrap()
                    .1
                    .split(' ')
                    .nth(1)
                    .unwrap()
                    .to_owned()
            };
            let own = running.pid().to_string();
            eventually("the orphan has another parent", || {
                children(running.pid()).len() == 1 && parent() != own
            });
        }
        run::kill(orphan.parse().expect("a number"), libc::SIGKILL);
        running.signal(libc::SIGTERM);
        running.wait();
    }
}

#[test]
fn the_signal_scope_selects_the_receivers() {
    // sh starts two probes in its process group. Each exits on the signal.
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
fn the_app_inherits_the_signal_mask_and_ignored_signals() {
    // The shell ignores USR1, as nohup ignores HUP. Its signal mask is empty.
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

/// In a static position-independent executable, no loader protects relocated data, so bootstrap must do so itself.
#[test]
fn addresses_are_random_and_relocated_data_is_read_only() {
    let map = || {
        let probe = binaries::probe();
        let running = run::spawn(
            &binaries::bootstrap(),
            &["init", "--", probe.to_str().unwrap(), "signals", "1"],
            &[],
        );
        running.wait_for_stdout("ready");
        let map = std::fs::read_to_string(format!("/proc/{}/maps", running.pid())).unwrap();
        // Killed with its owner, the init could not end the app.
        running.signal(libc::SIGTERM);
        running.wait();
        let own = map.lines().filter(|line| line.ends_with("/bootstrap"));
        own.map(str::to_owned).collect::<Vec<String>>()
    };
    let (first, second) = (map(), map());
    assert_ne!(
        first[0].split_whitespace().next(),
        second[0].split_whitespace().next(),
        "the same addresses in two processes"
    );
    let modes: Vec<&str> = first
        .iter()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let code = modes.iter().position(|mode| *mode == "r-xp").unwrap();
    let data = modes.iter().position(|mode| *mode == "rw-p").unwrap();
    assert_eq!(
        modes[code + 1..data],
        ["r--p", "r--p"],
        "constants and relocated data in {first:#?}"
    );
}
